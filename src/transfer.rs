//! How much got through.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many bytes a stream has carried.
///
/// Valid while the stream lives and after it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Transfer {
    /// Bytes that reads of the stream have returned.
    pub read: u64,
    /// Bytes that the wrapped stream took from writes. For a socket: bytes that the kernel took.
    pub accepted: u64,
    /// Accepted bytes that the peer's TCP has acknowledged; `None` where that is not known.
    ///
    /// Not known yet for any stream.
    pub acknowledged: Option<u64>,
}

/// The counters behind [`Transfer`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    read: AtomicU64,
    accepted: AtomicU64,
}

impl Counters {
    #[inline]
    pub(crate) fn add_read(&self, bytes: usize) {
        add(&self.read, bytes);
    }

    #[inline]
    pub(crate) fn add_accepted(&self, bytes: usize) {
        add(&self.accepted, bytes);
    }

    pub(crate) fn get(&self) -> Transfer {
        Transfer {
            read: self.read.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            acknowledged: None,
        }
    }
}

/// A plain load and store: a stream is read and written through `&mut`, so a counter has one writer,
/// and no other thread can come between the two.
#[inline]
fn add(counter: &AtomicU64, bytes: usize) {
    counter.store(counter.load(Relaxed) + bytes as u64, Relaxed);
}
