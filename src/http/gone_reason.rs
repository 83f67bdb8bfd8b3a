//! Why a request is over.

use crate::errors::CloseReason;
use std::fmt;

/// Why a request is over.
///
/// The first reason wins and never changes, as with [`CloseReason`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GoneReason {
    /// The whole connection is over.
    Connection(CloseReason),
    /// This request alone was given up, and the connection is still open: an HTTP/2 stream was reset, or
    /// the server itself dropped the handler or its response, by a time-out for instance.
    Cancelled,
    /// The response was given to HTTP to its end.
    ///
    /// It may still be on its way: [`Monitor::wait_acknowledged`](crate::Monitor::wait_acknowledged) waits for that.
    Answered,
}

impl fmt::Display for GoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(reason) => reason.fmt(f),
            Self::Cancelled => f.write_str("request cancelled"),
            Self::Answered => f.write_str("request answered"),
        }
    }
}
