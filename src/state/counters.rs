//! How much got through.

use super::atomic::AtomicU64;
use crate::observe::Bytes;
use std::sync::atomic::Ordering::Relaxed;

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
    /// Never more than `accepted`, and exact: what `TCP_INFO` and `SIOCOUTQ` tell (tcp(7)) of the
    /// socket, at the moment of the question, or when the stream was dropped if it is. Known on Linux
    /// (4.19 or later) for a stream that is TCP itself and was wrapped before anything was sent. Not
    /// known above TLS, where the socket carries other bytes than the stream, nor for Unix sockets. (0
    /// of 0 is known of all.)
    ///
    /// Once known it never becomes unknown, and it never decreases. After a write past the wrapper the last
    /// number that was known is told.
    ///
    /// Acknowledged is not processed: the bytes are in the memory of the peer's kernel, and a program
    /// that dies there has not read them. Nor is it all that arrived: a kernel may put an
    /// acknowledgement off for a moment (RFC 1122, section 4.2.3.2), and a reset that comes meanwhile
    /// acknowledges nothing.
    pub acknowledged: Option<u64>,
}

impl From<Transfer> for Bytes {
    fn from(transfer: Transfer) -> Self {
        Self {
            read: transfer.read,
            accepted: transfer.accepted,
            acknowledged: transfer.acknowledged,
        }
    }
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

    pub(crate) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }
}

/// A plain load and store: a stream is read and written through `&mut`, so a counter has one writer,
/// and no other thread can come between the two.
#[inline]
fn add(counter: &AtomicU64, bytes: usize) {
    counter.store(counter.load(Relaxed) + bytes as u64, Relaxed);
}
