//! How a connection ended.

use crate::outbox::engine::housekeeping::Interrupt;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// How a connection ended.
pub(crate) enum SessionEnd {
    /// The connection is lost, or no longer of use.
    Lost(io::Error),
    /// The kernel does not report the acknowledged bytes of this stream, so no message would ever be confirmed.
    Unsupported(io::Error),
    /// The task has to leave the connection.
    Interrupted(Interrupt),
}

/// The error for `Builder::ack_timeout`: the peer confirmed nothing in time.
#[derive(Debug)]
pub(super) struct AckTimeout(pub(super) Duration);

impl fmt::Display for AckTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hangup: the peer confirmed nothing for {:?}", self.0)
    }
}

impl Error for AckTimeout {}

/// Whether a connection was ended by `Builder::ack_timeout`. The network is then not the cause.
pub(crate) fn is_ack_timeout(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<AckTimeout>())
}
