//! Bulk transfers: files, copies between streams, and the orderly end of a transfer.
//! May use `stream` and what is below it.
//! Used by the integrations.
//!
//! | task | function | what it adds to tokio |
//! |---|---|---|
//! | send a file | `MonitoredStream::send_file` | `sendfile(2)`; a disconnect ends it immediately, with the reason |
//! | relay between two streams | [`copy_bidirectional`] | both sides are watched, and the outcome says which one ended it, and why; `CopyOutcome::pass_on` ends the other one in the same way |
//! | be sure that all bytes arrived | `MonitoredStream::finish` | shuts down, and waits until the peer has acknowledged everything |
//!
//! They move bytes in parts, so that other tasks get their turn. `page_cache` finds out whether reading a part of a file
//! would wait for the disk. Such a part is read on a blocking thread.

mod copy;
mod copy_options;
mod copy_outcome;
mod direction;
#[cfg(any(unix, windows))]
mod file_part;
mod finish;
#[cfg(any(unix, windows))]
#[cfg_attr(
    hangup_fallback,
    allow(dead_code, reason = "the fallback asks no page cache")
)]
pub(crate) mod page_cache;
mod pass_on;
#[cfg(any(unix, windows))]
mod send_file;
mod spare_buffer;
mod stand_still;
#[cfg(any(unix, windows))]
mod while_open;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
mod zero_copy;

pub use copy::{copy_bidirectional, copy_bidirectional_with_sizes};
pub use copy_options::CopyOptions;
pub use copy_outcome::{CopyOutcome, CopySide};
