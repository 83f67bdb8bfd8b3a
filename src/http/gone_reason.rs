//! Why a request is over.

use crate::errors::CloseReason;
use std::fmt;

/// Why a request is over.
///
/// The first reason wins and never changes, as with [`CloseReason`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GoneReason {
    /// The whole connection is closed.
    Connection(CloseReason),
    /// Only this request was cancelled, and the connection is still open: the client reset the HTTP/2 stream, or the
    /// server dropped the handler or the response, after a timeout for example.
    Cancelled,
    /// The client takes this response too slowly, or not at all: the [`StallPolicy`](crate::StallPolicy) of a
    /// [`StallBody`](super::StallBody) or of a [`producer_with_policy`](super::producer_with_policy) gave it up. The
    /// connection is still open.
    Stalled,
    /// HTTP took the whole response.
    ///
    /// It may still be in flight: [`Monitor::wait_acknowledged`](crate::Monitor::wait_acknowledged) waits for that.
    Answered,
}

impl fmt::Display for GoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(reason) => reason.fmt(f),
            Self::Cancelled => f.write_str("request cancelled"),
            Self::Stalled => f.write_str("client stalled"),
            Self::Answered => f.write_str("request answered"),
        }
    }
}
