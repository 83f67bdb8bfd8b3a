//! Bulk transfers: files, copies between streams, and the orderly end of a transfer.
//! May use `stream` and what is below it.
//! Used by the integrations.
//!
//! | task | function | what it adds to tokio |
//! |---|---|---|
//! | send a file | `MonitoredStream::send_file` | `sendfile(2)`; a disconnect ends it immediately, with the reason |
//! | relay between two streams | [`copy_bidirectional`] | both sides are watched, and the outcome says which one ended it, and why |
//! | be sure that all bytes arrived | `MonitoredStream::finish` | shuts down, and waits until the peer has acknowledged everything |
//!
//! They move bytes in parts, so that other tasks get their turn. `page_cache` finds out whether reading a part of a file
//! would wait for the disk. Such a part is read on a blocking thread.

mod copy;
mod finish;
#[cfg(any(unix, windows))]
#[cfg_attr(
    hangup_fallback,
    allow(dead_code, reason = "the fallback asks no page cache")
)]
pub(crate) mod page_cache;
#[cfg(any(unix, windows))]
mod send_file;

pub use copy::{
    CopyOptions, CopyOutcome, CopySide, copy_bidirectional, copy_bidirectional_with_sizes,
};
