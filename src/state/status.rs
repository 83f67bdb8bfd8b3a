//! The status of a stream: the value in the watch channel.

use crate::errors::CloseReason;

/// The status of a stream: the value in the watch channel of [`Monitor::subscribe`](crate::Monitor::subscribe).
///
/// It only moves forward: `Open`, then perhaps `PeerFinished`, then `Closed`.
///
/// ```
/// use hangup::{CloseReason, Status};
///
/// let status = Status::Closed(CloseReason::Reset);
/// assert!(status.is_closed());
/// assert_eq!(status.reason(), Some(&CloseReason::Reset));
/// assert_eq!(status.to_string(), "closed (reset by peer)");
/// assert!(!Status::PeerFinished.is_closed());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The stream is open.
    Open,
    /// The peer will send no more data, and may still read.
    ///
    /// Only with [`HalfClose::Allow`](crate::HalfClose::Allow) or [`AllowFor`](crate::HalfClose::AllowFor).
    PeerFinished,
    /// The stream is over.
    Closed(CloseReason),
}

impl Status {
    /// Whether the stream is over.
    ///
    /// ```
    /// use hangup::{CloseReason, Status};
    ///
    /// assert!(Status::Closed(CloseReason::Finished).is_closed());
    /// assert!(!Status::Open.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// Replaces the status by `other` if that is later. Returns whether it was.
    pub(crate) fn advance(&mut self, other: Self) -> bool {
        let later = other.order() > self.order();
        if later {
            *self = other;
        }
        later
    }

    /// The position in the order. A status changes only to one with a higher position.
    fn order(&self) -> u8 {
        match self {
            Self::Open => 0,
            Self::PeerFinished => 1,
            Self::Closed(_) => 2,
        }
    }

    /// Why the stream closed; `None` while it is open.
    ///
    /// ```
    /// use hangup::{CloseReason, Status};
    ///
    /// assert_eq!(Status::Closed(CloseReason::Reset).reason(), Some(&CloseReason::Reset));
    /// assert_eq!(Status::PeerFinished.reason(), None);
    /// ```
    pub fn reason(&self) -> Option<&CloseReason> {
        match self {
            Self::Closed(reason) => Some(reason),
            Self::Open | Self::PeerFinished => None,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::PeerFinished => f.write_str("peer finished"),
            Self::Closed(reason) => write!(f, "closed ({reason})"),
        }
    }
}
