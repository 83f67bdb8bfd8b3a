//! What every mechanism shares: how a descriptor is named, and what is said of one.

use crate::state::Event;
use std::io::{self, ErrorKind};

#[cfg(unix)]
pub(crate) use std::os::fd::{AsRawFd as Source, RawFd as Raw};
#[cfg(windows)]
pub(crate) use std::os::windows::io::{AsRawSocket as Source, RawSocket as Raw};

/// How many sockets one wait names at the most: between two batches the watcher's task lets others
/// run. 256 hang-ups take about half a millisecond to tell.
pub(in crate::watcher) const BATCH: usize = 256;

/// What one look at a socket showed.
#[derive(Debug, Default)]
pub(in crate::watcher) struct Observation {
    /// What happened to it, if anything did.
    pub(in crate::watcher) event: Option<Event>,
    /// The socket's error, where the look took it out of the socket.
    pub(in crate::watcher) error: Option<i32>,
}

/// What a socket has been given to send since it was made.
#[derive(Debug, Clone, Copy)]
pub(in crate::watcher) struct Backlog {
    /// All of it, in bytes, or one more.
    pub(in crate::watcher) written: u64,
    /// The last ones of them, those that the peer has not acknowledged.
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

/// What names the socket under `source`, if it can be one's name.
pub(in crate::watcher) fn raw(source: &impl Source) -> io::Result<Raw> {
    #[cfg(unix)]
    let (raw, valid) = (source.as_raw_fd(), source.as_raw_fd() >= 0);
    #[cfg(windows)]
    let (raw, valid) = (source.as_raw_socket(), source.as_raw_socket() != Raw::MAX);
    if valid {
        return Ok(raw);
    }
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        "hangup: cannot watch what has no open descriptor",
    ))
}

/// An error of ours, in words that say what to do, of the kind and with the cause of `error`.
pub(super) fn explain(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("hangup: {what}: {error}"))
}
