//! Why a stream is over.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// Why a stream is over.
///
/// The first reason wins and never changes: every [`Monitor`](crate::Monitor), every
/// [`Closed`](crate::Closed) future, the watch channel and the error of a refused write tell the
/// same one.
///
/// # Round trip through [`io::Error`]
///
/// A write on a closed stream fails with an [`io::Error`] that carries the reason. Its
/// [`kind`](io::Error::kind) is the one that the table below names, and the reason can be got back
/// with [`carried_by`](Self::carried_by), or for any error at all with `CloseReason::from(&error)`.
///
/// | reason | kind |
/// |---|---|
/// | `PeerClosed`, `Finished` | [`BrokenPipe`](ErrorKind::BrokenPipe) |
/// | `Reset` | [`ConnectionReset`](ErrorKind::ConnectionReset) |
/// | `TimedOut`, `Stalled` | [`TimedOut`](ErrorKind::TimedOut) |
/// | `Unreachable` | [`HostUnreachable`](ErrorKind::HostUnreachable) |
/// | `Truncated` | [`UnexpectedEof`](ErrorKind::UnexpectedEof) |
/// | `Tls` | [`InvalidData`](ErrorKind::InvalidData) |
/// | `Failed` | the kind of the [`Failure`] |
/// | `Aborted`, `Dropped`, `RuntimeShutdown` | [`ConnectionAborted`](ErrorKind::ConnectionAborted) |
///
/// ```
/// use hangup::CloseReason;
/// use std::io;
///
/// let error = io::Error::from(CloseReason::Reset);
/// assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
/// assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Reset));
/// assert_eq!(CloseReason::from(&error), CloseReason::Reset);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed before we had finished sending: a FIN, or for a Unix socket its close.
    ///
    /// A FIN that a reset follows at once (a peer that closes while data is on its way to it) is
    /// this too, whichever of the two is heard of first.
    PeerClosed,
    /// The peer's FIN came after our own shutdown: the orderly end.
    Finished,
    /// The peer reset the connection: what we sent last may not have reached its program.
    Reset,
    /// The peer stopped answering, and the operating system's timer ran out.
    TimedOut,
    /// The network or the host cannot be reached any more.
    Unreachable,
    /// The peer is alive and does not drain what we send: less than the
    /// [`StallPolicy`](crate::StallPolicy) asks for.
    Stalled,
    /// The input ended in the middle of something: a TLS stream without its close_notify.
    Truncated,
    /// TLS failed: an alert, or a record that cannot be read.
    ///
    /// No built-in rule gives this reason yet: such an error is [`Failed`](Self::Failed).
    Tls,
    /// An error of another kind.
    Failed(Failure),
    /// We ended the stream with [`abort`](crate::Monitor::abort).
    Aborted,
    /// We dropped the stream, or took it out of its wrapper.
    Dropped,
    /// The runtime that watched the stream was shut down.
    RuntimeShutdown,
}

/// An error that ended a stream and has no [`CloseReason`] of its own.
///
/// It holds what can be compared, hashed and cloned of the [`io::Error`].
///
/// ```
/// use hangup::CloseReason;
/// use std::io;
///
/// let error = io::Error::new(io::ErrorKind::StorageFull, "no room for the spool");
/// let CloseReason::Failed(failure) = CloseReason::from(&error) else { panic!() };
/// assert_eq!(failure.kind(), io::ErrorKind::StorageFull);
/// assert_eq!(failure.code(), None);
/// assert_eq!(failure.to_string(), "no room for the spool");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Failure {
    kind: ErrorKind,
    code: Option<i32>,
    message: Arc<str>,
}

impl Failure {
    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operating system's code (`errno` on Unix), where the error had one.
    pub fn code(&self) -> Option<i32> {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl CloseReason {
    /// The reason that `error` carries, if it or an error inside it is a refused write of a
    /// [`MonitoredStream`](crate::MonitoredStream).
    ///
    /// `None` for every other error: `CloseReason::from(&error)` then says what the error means.
    ///
    /// ```
    /// use hangup::CloseReason;
    /// use std::io;
    ///
    /// let wrapped = io::Error::other(io::Error::from(CloseReason::PeerClosed));
    /// assert_eq!(CloseReason::carried_by(&wrapped), Some(&CloseReason::PeerClosed));
    /// assert_eq!(CloseReason::carried_by(&io::ErrorKind::BrokenPipe.into()), None);
    /// ```
    pub fn carried_by(error: &io::Error) -> Option<&Self> {
        let mut next: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
        while let Some(error) = next {
            if let Some(reason) = error.downcast_ref() {
                return Some(reason);
            }
            // An `io::Error` gives the source *of* its payload as its own: look at the payload.
            next = match error.downcast_ref::<io::Error>() {
                Some(error) => error.get_ref().map(|inner| inner as _),
                None => error.source(),
            };
        }
        None
    }

    /// Whether it was our side that ended the stream: [`Finished`](Self::Finished),
    /// [`Aborted`](Self::Aborted), [`Dropped`](Self::Dropped) or [`RuntimeShutdown`](Self::RuntimeShutdown).
    ///
    /// ```
    /// use hangup::CloseReason;
    ///
    /// assert!(CloseReason::Dropped.is_local());
    /// assert!(!CloseReason::PeerClosed.is_local());
    /// ```
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Finished | Self::Aborted | Self::Dropped | Self::RuntimeShutdown
        )
    }

    /// Whether it was decided on this side of the connection: no read that waits would hear of it from
    /// the system.
    pub(crate) fn ends_reads(&self) -> bool {
        matches!(self, Self::Stalled | Self::Aborted)
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::PeerClosed | Self::Finished => ErrorKind::BrokenPipe,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::TimedOut | Self::Stalled => ErrorKind::TimedOut,
            Self::Unreachable => ErrorKind::HostUnreachable,
            Self::Truncated => ErrorKind::UnexpectedEof,
            Self::Tls => ErrorKind::InvalidData,
            Self::Failed(failure) => failure.kind,
            Self::Aborted | Self::Dropped | Self::RuntimeShutdown => ErrorKind::ConnectionAborted,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PeerClosed => "closed by peer",
            Self::Finished => "finished",
            Self::Reset => "reset by peer",
            Self::TimedOut => "timed out",
            Self::Unreachable => "peer unreachable",
            Self::Stalled => "peer stalled",
            Self::Truncated => "truncated",
            Self::Tls => "TLS failed",
            Self::Failed(failure) => return write!(f, "failed: {failure}"),
            Self::Aborted => "stream aborted",
            Self::Dropped => "stream dropped",
            Self::RuntimeShutdown => "runtime shut down",
        })
    }
}

impl Error for CloseReason {}

impl From<CloseReason> for io::Error {
    fn from(reason: CloseReason) -> Self {
        Self::new(reason.kind(), reason)
    }
}

/// The reason that the error carries, or else what the error means when a read or a write of a
/// stream fails with it.
impl From<&io::Error> for CloseReason {
    fn from(error: &io::Error) -> Self {
        if let Some(reason) = Self::carried_by(error) {
            return reason.clone();
        }
        match error.kind() {
            ErrorKind::BrokenPipe => Self::PeerClosed,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Self::Reset,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                Self::Unreachable
            }
            ErrorKind::UnexpectedEof => Self::Truncated,
            kind => Self::Failed(Failure {
                kind,
                code: error.raw_os_error(),
                message: error.to_string().into(),
            }),
        }
    }
}
