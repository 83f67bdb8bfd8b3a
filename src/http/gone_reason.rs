//! Why a request is over.

use crate::errors::CloseReason;
use std::fmt;

/// Why a request is over.
///
/// The first reason wins and never changes, as with [`CloseReason`].
///
/// | reason | the connection | what a handler usually does |
/// |---|---|---|
/// | [`Connection`](Self::Connection) | is closed | stops, and releases everything |
/// | [`Cancelled`](Self::Cancelled) | is open and serves other requests | stops this request only |
/// | [`Stalled`](Self::Stalled) | is open | stops this request, and counts the client as slow |
/// | [`Answered`](Self::Answered) | is open | writes the access log |
///
/// ```
/// use hangup::CloseReason;
/// use hangup::http::GoneReason;
///
/// /// The status for an access log. nginx writes 499 for a client that left before the response.
/// fn logged(reason: &GoneReason, status: u16) -> u16 {
///     match reason {
///         GoneReason::Answered => status,
///         _ => 499,
///     }
/// }
///
/// assert_eq!(logged(&GoneReason::Answered, 200), 200);
/// assert_eq!(logged(&GoneReason::Cancelled, 200), 499);
/// assert_eq!(logged(&GoneReason::Connection(CloseReason::Reset), 200), 499);
/// assert_eq!(GoneReason::Connection(CloseReason::Reset).to_string(), "reset by peer");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GoneReason {
    /// The whole connection is closed.
    Connection(CloseReason),
    /// Only this request was cancelled, and the connection is still open: the client reset the HTTP/2 stream, or the
    /// server dropped the handler or the response, after a timeout for example.
    Cancelled,
    /// The client took this response too slowly, or not at all, so the [`StallPolicy`](crate::StallPolicy) of a
    /// [`StallBody`](super::StallBody) or a [`producer_with_policy`](super::producer_with_policy) gave it up. The
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
