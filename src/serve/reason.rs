//! The limits of a server, by name.

use std::fmt;
use std::net::SocketAddr;

/// The limit of a [`Server`](super::Server) that refused or ended a connection, a request or a stream.
///
/// The end of a connection that its [monitor](crate::Monitor) reports, such as a stalled or a dead peer, is a
/// [`CloseReason`](crate::CloseReason), and is not repeated here.
///
/// ```
/// use hangup::serve::LimitReason;
///
/// /// Whether a client misbehaves, so that an operator should know.
/// fn is_suspicious(reason: LimitReason) -> bool {
///     match reason {
///         LimitReason::KeepAliveTimeout | LimitReason::Shutdown => false, // part of every day
///         LimitReason::Connections | LimitReason::Requests => false, // too many clients, of any kind
///         _ => true,
///     }
/// }
///
/// assert!(is_suspicious(LimitReason::HeadTimeout));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitReason {
    /// The TLS handshake failed, took too long
    /// ([`TlsListener::handshake_timeout`](crate::tls::TlsListener::handshake_timeout)), or was the oldest of too
    /// many ([`TlsListener::max_handshakes`](crate::tls::TlsListener::max_handshakes)).
    #[cfg(feature = "tls")]
    Handshake,
    /// A request's head did not arrive in time: [`head_timeout`](super::Server::head_timeout).
    HeadTimeout,
    /// An idle connection was closed: [`keep_alive_timeout`](super::Server::keep_alive_timeout). The usual
    /// end of a connection that nobody uses any more.
    KeepAliveTimeout,
    /// A request's body arrived too slowly: [`request_body_rate`](super::Server::request_body_rate).
    RequestBodyRate,
    /// A client went on sending after its last response: [`lingering_time`](super::Server::lingering_time). The
    /// connection was closed, and the client may have lost the response.
    Lingering,
    /// Too many connections: [`max_connections`](super::Server::max_connections). The oldest idle connection
    /// was closed to make room or, where none was idle, the new one was refused.
    Connections,
    /// Too many connections from one address:
    /// [`max_connections_per_address`](super::Server::max_connections_per_address). The oldest idle connection of that
    /// address was closed or, where none was idle, the new one was refused.
    ConnectionsPerAddress,
    /// Too many requests at once: [`max_requests`](super::Server::max_requests). Answered with status 503.
    Requests,
    /// Too many requests at once from one address: [`max_requests_per_address`](super::Server::max_requests_per_address).
    /// Answered with status 503.
    RequestsPerAddress,
    /// The responses have too many files open, in all or of one address: [`max_connections`](super::Server::max_connections)
    /// says how many they may have. Answered with status 503.
    OpenFiles,
    /// A head was too large, or had too many fields: [`max_head_size`](super::Server::max_head_size),
    /// [`max_headers`](super::Server::max_headers). Answered with status 431. A head that is too large on HTTP/2 is answered
    /// by h2, and not reported.
    HeadSize,
    /// A request's target was too long: [`max_uri_length`](super::Server::max_uri_length). Answered with
    /// status 414.
    UriLength,
    /// An HTTP/2 client sent too many frames beyond what its requests account for, such as PING or SETTINGS:
    /// [`max_control_frames`](super::Server::max_control_frames). Or a client sent more than 1 MiB of TLS records without data.
    /// The connection was closed.
    ControlFrames,
    /// The client did not read an HTTP/2 stream: [`stall_policy`](super::Server::stall_policy). The stream was reset. If
    /// it was the only one of its connection, the connection was closed too.
    StreamStalled,
    /// The connection did not end within [`shutdown_timeout`](super::Server::shutdown_timeout), or a second
    /// signal came: it was aborted.
    Shutdown,
}

impl LimitReason {
    /// A short name in snake case, for logs and metrics.
    ///
    /// ```
    /// assert_eq!(hangup::serve::LimitReason::HeadTimeout.name(), "head_timeout");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "tls")]
            Self::Handshake => "handshake",
            Self::HeadTimeout => "head_timeout",
            Self::KeepAliveTimeout => "keep_alive_timeout",
            Self::RequestBodyRate => "request_body_rate",
            Self::Lingering => "lingering",
            Self::Connections => "connections",
            Self::ConnectionsPerAddress => "connections_per_address",
            Self::Requests => "requests",
            Self::RequestsPerAddress => "requests_per_address",
            Self::OpenFiles => "open_files",
            Self::HeadSize => "head_size",
            Self::UriLength => "uri_length",
            Self::ControlFrames => "control_frames",
            Self::StreamStalled => "stream_stalled",
            Self::Shutdown => "shutdown",
        }
    }

    /// Whether a well-behaved client may cause it.
    pub(super) fn is_usual(self) -> bool {
        matches!(self, Self::KeepAliveTimeout)
    }
}

impl fmt::Display for LimitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "tls")]
            Self::Handshake => "the TLS handshake failed or took too long",
            Self::HeadTimeout => "a request's head did not arrive in time",
            Self::KeepAliveTimeout => "the connection was idle for too long",
            Self::RequestBodyRate => "a request's body arrived too slowly",
            Self::Lingering => "the client went on sending after its response",
            Self::Connections => "too many connections",
            Self::ConnectionsPerAddress => "too many connections from one address",
            Self::Requests => "too many requests at once",
            Self::RequestsPerAddress => "too many requests at once from one address",
            Self::OpenFiles => "too many open files",
            Self::HeadSize => "a request's head was too large",
            Self::UriLength => "a request's target was too long",
            Self::ControlFrames => "too many HTTP/2 control frames, or TLS records without data",
            Self::StreamStalled => "the client did not read an HTTP/2 stream",
            Self::Shutdown => "the server shut down",
        })
    }
}

/// One use of a limit: the argument of the callback of [`Server::on_limit`](super::Server::on_limit).
///
/// To count how often each client meets a limit, without a lock in the callback:
///
/// ```
/// use axum::Router;
/// use hangup::MonitoredListener;
/// use hangup::serve::{LimitReason, serve};
/// use std::time::Duration;
/// use tokio::io::AsyncReadExt;
/// use tokio::sync::mpsc::unbounded_channel;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let (sender, mut events) = unbounded_channel();
/// let server = serve(listener, Router::new())
///     .head_timeout(Duration::from_millis(50))
///     .on_limit(move |event| drop(sender.send(*event)));
/// tokio::spawn(server.into_future());
///
/// let mut silent = tokio::net::TcpStream::connect(address).await?;
/// let _ = silent.read_to_end(&mut Vec::new()).await;
/// let event = events.recv().await.unwrap();
/// assert_eq!(event.reason, LimitReason::HeadTimeout);
/// assert_eq!(event.peer, Some(silent.local_addr()?));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitEvent {
    /// Which limit.
    pub reason: LimitReason,
    /// The client's address; `None` for a Unix socket.
    pub peer: Option<SocketAddr>,
}
