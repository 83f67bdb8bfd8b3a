//! The types that all mechanisms share: observations of a descriptor, and its backlog.

use crate::state::Event;
use std::io;

pub(in crate::watcher) use rustix::fd::RawFd as Raw;

/// The largest number of sockets that one wait returns. Between two batches the watcher's task yields. Reporting 256
/// disconnects takes about half a millisecond.
pub(in crate::watcher) const BATCH: usize = 256;

/// The answer to one question about a descriptor.
#[derive(Debug, Default)]
pub(in crate::watcher) struct Observation {
    /// What happened to it, if anything did.
    pub(in crate::watcher) event: Option<Event>,
    /// The socket's error, if the question took it out of the socket.
    pub(in crate::watcher) error: Option<i32>,
    /// What the same answer says of the bytes that were sent, if it does.
    pub(in crate::watcher) backlog: Option<Backlog>,
    /// Whether the system knows that the peer has not ended its sending direction. Only `unexplained_end` tells.
    pub(in crate::watcher) is_input_open: bool,
}

/// How many bytes a descriptor was given to send since it was created.
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
            ..Self::default()
        }
    }
}

/// An error with the kind and the cause of `error`, and a text that says what to do.
pub(super) fn explain(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("hangup: {what}: {error}"))
}
