//! Why a stream is over.

use super::chain::Chain;
use super::class::ErrorClass;
use super::failure::Failure;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

/// Why a stream closed.
///
/// The first reason wins and never changes: every [`Monitor`](crate::Monitor), every
/// [`Closed`](crate::Closed) future, the watch channel and the error of a refused write report the
/// same one.
///
/// | reason | cause | the peer's program has everything that we sent |
/// |---|---|---|
/// | [`Finished`](Self::Finished) | FIN after our own shutdown | if the protocol says so |
/// | [`PeerClosed`](Self::PeerClosed) | FIN while we were still sending | not known |
/// | [`Reset`](Self::Reset) | RST | not known; the last bytes often not |
/// | [`TimedOut`](Self::TimedOut) | no answer; a timer of the system expired | not known |
/// | [`Unreachable`](Self::Unreachable) | ICMP, or no route | not known |
/// | [`Stalled`](Self::Stalled) | the peer reads too slowly | no |
/// | [`Truncated`](Self::Truncated) | a TLS stream without close_notify | not known |
/// | [`Tls`](Self::Tls), [`TlsAlert`](Self::TlsAlert) | TLS failed on our side, or on the peer's | not known |
/// | [`Failed`](Self::Failed) | another error | not known |
/// | [`Aborted`](Self::Aborted), [`Dropped`](Self::Dropped) | our own program | not known |
/// | [`RuntimeShutdown`](Self::RuntimeShutdown) | the runtime has shut down | not known |
///
/// If it is not known, only a reply of the peer's program can show it.
/// [`Transfer::acknowledged`](crate::Transfer::acknowledged) says how much its kernel has received.
///
/// # What a program does with it
///
/// Most programs stop producing, whatever the reason, and write it into their log. Some look closer:
///
/// ```
/// use hangup::CloseReason;
///
/// fn log_level(reason: &CloseReason) -> &'static str {
///     match reason {
///         // The user closed the page, or the transfer was over.
///         CloseReason::PeerClosed | CloseReason::Finished | CloseReason::Reset => "debug",
///         // The network or the client is in trouble.
///         CloseReason::TimedOut | CloseReason::Unreachable | CloseReason::Stalled => "info",
///         // A client that does not speak our protocol, or an attack that cuts the connection.
///         CloseReason::Truncated | CloseReason::Tls | CloseReason::TlsAlert => "warn",
///         // Our own side, or something unexpected.
///         reason if reason.is_local() => "debug",
///         _ => "warn",
///     }
/// }
///
/// assert_eq!(log_level(&CloseReason::Reset), "debug");
/// assert_eq!(log_level(&CloseReason::Truncated), "warn");
/// assert_eq!(log_level(&CloseReason::Dropped), "debug");
/// ```
///
/// A sender that keeps its messages asks [`class`](Self::class) whether to send again. A metric uses
/// [`name`](Self::name).
///
/// # Round trip through [`io::Error`]
///
/// A write on a closed stream fails with an [`io::Error`] that carries the reason. Its
/// [`kind`](io::Error::kind) is the one in the table below. [`carried_by`](Self::carried_by) gives the
/// reason back, and `CloseReason::from(&error)` gives one for any error.
///
/// | reason | kind |
/// |---|---|
/// | `PeerClosed`, `Finished` | [`BrokenPipe`](ErrorKind::BrokenPipe) |
/// | `Reset` | [`ConnectionReset`](ErrorKind::ConnectionReset) |
/// | `TimedOut`, `Stalled` | [`TimedOut`](ErrorKind::TimedOut) |
/// | `Unreachable` | [`HostUnreachable`](ErrorKind::HostUnreachable) |
/// | `Truncated` | [`UnexpectedEof`](ErrorKind::UnexpectedEof) |
/// | `Tls`, `TlsAlert` | [`InvalidData`](ErrorKind::InvalidData) |
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
    /// If a peer closes while data is on its way to it, a reset follows the FIN at once. That is `PeerClosed` too,
    /// whichever of the two is detected first.
    PeerClosed,
    /// The peer's FIN came after our own shutdown: the orderly end.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredListener};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut stream, _) = listener.accept().await?;
    /// stream.shutdown().await?; // everything is sent
    /// drop(client);
    /// assert_eq!(stream.closed().await, CloseReason::Finished);
    /// # Ok(())
    /// # }
    /// ```
    Finished,
    /// The peer reset the connection: what we sent last may not have reached its program.
    ///
    /// This is no sign of an abnormal end by itself. A peer's kernel also sends a reset when its program closes the socket
    /// with input that it has not read (RFC 2525, section 2.17), as a browser does when the user leaves a page.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredListener};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut stream, _) = listener.accept().await?;
    /// stream.write_all(b"an advertisement").await?;
    /// client.readable().await?; // it has arrived
    /// drop(client); // and the user leaves without reading it
    /// assert_eq!(stream.closed().await, CloseReason::Reset);
    /// # Ok(())
    /// # }
    /// ```
    Reset,
    /// The peer stopped answering, and a timer of the operating system expired: keepalive or the user timeout, see
    /// [`dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout), or the retransmissions, after about 15 minutes on
    /// Linux (`tcp_retries2`, tcp(7)). Also a TLS handshake that took too long.
    TimedOut,
    /// The network or the host cannot be reached any more: a router or our own kernel answered instead of the peer
    /// (`ENETUNREACH`, `EHOSTUNREACH`). An established connection closes with it only after the system has given up.
    Unreachable,
    /// The peer is connected and takes what we send too slowly: at a lower rate than the
    /// [`StallPolicy`](crate::StallPolicy) asks for. Only streams with a policy close with it.
    Stalled,
    /// The input ended in the middle of something: a TLS stream without its close_notify.
    Truncated,
    /// TLS failed on our side: a record that cannot be read, a certificate that is refused, a handshake
    /// that fails.
    ///
    /// Only rustls' errors are recognised. Those of other TLS libraries are [`Failed`](Self::Failed).
    Tls,
    /// The peer ended TLS with an alert: it refuses our certificate, or could not read what we sent.
    ///
    /// As with [`Tls`](Self::Tls), only rustls' errors are recognised.
    TlsAlert,
    /// An error of another kind.
    Failed(Failure),
    /// We ended the stream with [`abort`](crate::Monitor::abort).
    Aborted,
    /// We dropped the stream, or took it out of its wrapper.
    Dropped,
    /// The runtime that watched the stream was shut down.
    RuntimeShutdown,
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
        Chain::new(error).find_map(|error| error.downcast_ref())
    }

    /// A short, stable name for logs and metrics, from a small fixed set.
    ///
    /// `peer_closed`, `finished`, `reset`, `timed_out`, `unreachable`, `stalled`, `truncated`, `tls`,
    /// `tls_alert`, `aborted`, `dropped`, `runtime_shutdown`; of [`Failed`](Self::Failed) `failed_` and the class of the
    /// failure, such as `failed_local_resources`.
    ///
    /// ```
    /// use hangup::CloseReason;
    /// use std::io::{Error, ErrorKind};
    ///
    /// assert_eq!(CloseReason::PeerClosed.name(), "peer_closed");
    /// let failed = CloseReason::from(&Error::from(ErrorKind::StorageFull));
    /// assert_eq!(failed.name(), "failed_local_resources");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::Finished => "finished",
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Stalled => "stalled",
            Self::Truncated => "truncated",
            Self::Tls => "tls",
            Self::TlsAlert => "tls_alert",
            Self::Failed(failure) => match failure.class() {
                ErrorClass::NotReady => "failed_not_ready",
                ErrorClass::Interrupted => "failed_interrupted",
                ErrorClass::Disconnected => "failed_disconnected",
                ErrorClass::Network => "failed_network",
                ErrorClass::Resolution => "failed_resolution",
                ErrorClass::Timeout => "failed_timeout",
                ErrorClass::Tls => "failed_tls",
                ErrorClass::LocalResources => "failed_local_resources",
                ErrorClass::Misuse => "failed_misuse",
                ErrorClass::Permission => "failed_permission",
                ErrorClass::Other => "failed_other",
            },
            Self::Aborted => "aborted",
            Self::Dropped => "dropped",
            Self::RuntimeShutdown => "runtime_shutdown",
        }
    }

    /// Whether our side ended the stream: [`Finished`](Self::Finished),
    /// [`Aborted`](Self::Aborted), [`Dropped`](Self::Dropped) or [`RuntimeShutdown`](Self::RuntimeShutdown).
    ///
    /// ```
    /// use hangup::CloseReason;
    ///
    /// assert!(CloseReason::Dropped.is_local());
    /// assert!(!CloseReason::PeerClosed.is_local());
    /// ```
    pub fn is_local(&self) -> bool {
        match self {
            Self::Finished | Self::Aborted | Self::Dropped | Self::RuntimeShutdown => true,
            Self::PeerClosed
            | Self::Reset
            | Self::TimedOut
            | Self::Unreachable
            | Self::Stalled
            | Self::Truncated
            | Self::Tls
            | Self::TlsAlert
            | Self::Failed(_) => false,
        }
    }

    /// What the reason means for a sender whose message it stopped.
    ///
    /// It is the class of the error that caused the reason. One case differs: an
    /// [`UnexpectedEof`](ErrorKind::UnexpectedEof) that does not come from TLS is
    /// [`Disconnected`](ErrorClass::Disconnected) as an error, and [`Tls`](ErrorClass::Tls) as
    /// [`Truncated`](Self::Truncated).
    ///
    /// ```
    /// use hangup::CloseReason;
    /// use hangup::errors::ErrorClass;
    ///
    /// assert_eq!(CloseReason::PeerClosed.class(), ErrorClass::Disconnected);
    /// assert_eq!(CloseReason::Stalled.class(), ErrorClass::Timeout);
    /// assert!(CloseReason::Unreachable.class().is_connection());
    /// ```
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::PeerClosed
            | Self::Finished
            | Self::Reset
            | Self::Aborted
            | Self::Dropped
            | Self::RuntimeShutdown => ErrorClass::Disconnected,
            Self::TimedOut | Self::Stalled => ErrorClass::Timeout,
            Self::Unreachable => ErrorClass::Network,
            Self::Truncated | Self::Tls | Self::TlsAlert => ErrorClass::Tls,
            Self::Failed(failure) => failure.class(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::PeerClosed | Self::Finished => ErrorKind::BrokenPipe,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::TimedOut | Self::Stalled => ErrorKind::TimedOut,
            Self::Unreachable => ErrorKind::HostUnreachable,
            Self::Truncated => ErrorKind::UnexpectedEof,
            Self::Tls | Self::TlsAlert => ErrorKind::InvalidData,
            Self::Failed(failure) => failure.kind(),
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
            Self::TlsAlert => "TLS alert from peer",
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
