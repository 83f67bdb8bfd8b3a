//! What every mechanism shares: the words for a descriptor, and for what is seen of it.

use crate::state::Event;
use std::io;

pub(in crate::watcher) use rustix::fd::RawFd as Raw;

/// How many sockets one wait names at the most: between two batches the watcher's task lets others
/// run. 256 disconnects take about half a millisecond to report.
pub(in crate::watcher) const BATCH: usize = 256;

/// What one question about a descriptor shows.
#[derive(Debug, Default)]
pub(in crate::watcher) struct Observation {
    /// What happened to it, if anything did.
    pub(in crate::watcher) event: Option<Event>,
    /// The socket's error, if the question took it out of the socket.
    pub(in crate::watcher) error: Option<i32>,
}

/// What a descriptor was given to send since it was made.
#[derive(Debug, Clone, Copy)]
pub(in crate::watcher) struct Backlog {
    /// All of it, in bytes, or one more; `None` where only the unacknowledged part is known.
    pub(in crate::watcher) written: Option<u64>,
    /// The part of it, at the end, that the peer has not acknowledged.
    pub(in crate::watcher) unacknowledged: u64,
}

impl From<Event> for Observation {
    fn from(event: Event) -> Self {
        Self {
            event: Some(event),
            error: None,
        }
    }
}

/// An error of ours that says what to do, with the kind and the cause of `error`.
pub(super) fn explain(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("hangup: {what}: {error}"))
}
