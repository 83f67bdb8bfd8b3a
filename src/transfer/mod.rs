//! Bytes in bulk: files, copies between streams, and the end of a transfer.
//!
//! May use `stream` and what is below it.
//!
//! Used by the integrations.

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
