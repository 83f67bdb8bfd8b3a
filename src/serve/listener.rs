//! The listeners of a server.

use super::byte_stream::ByteStream;
use crate::monitor::Monitor;
use crate::policy::MonitorConfig;
use crate::stream::{MonitoredListener, MonitoredStream};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;

/// Where the connections of a [`Server`](super::Server) come from: a [`MonitoredListener`], a
/// [`TlsListener`](crate::tls::TlsListener), or a `UnixListener`.
///
/// | listener | the client's address | HTTP/2 |
/// |---|---|---|
/// | [`MonitoredListener`] | yes | with [`h2c`](super::Server::h2c) |
/// | [`TlsListener`](crate::tls::TlsListener) | yes | by ALPN |
/// | `tokio::net::UnixListener` | no: file permissions decide who may connect | with [`h2c`](super::Server::h2c) |
///
/// The trait is sealed, because a server needs more of a listener than a few public methods could express.
///
/// A socket that systemd has opened (socket activation) becomes a listener by
/// [`MonitoredListener::from_listener`]:
///
/// ```
/// use hangup::MonitoredListener;
/// use hangup::serve::serve;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let inherited = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let address = inherited.local_addr()?;
/// inherited.set_nonblocking(true)?; // tokio needs that
/// let listener = MonitoredListener::from_listener(tokio::net::TcpListener::from_std(inherited)?);
/// assert_eq!(listener.local_addr()?, address);
/// let server = serve(listener, axum::Router::<()>::new());
/// # drop(server);
/// # Ok(())
/// # }
/// ```
///
/// A server behind a proxy on the same machine listens on a Unix socket:
///
/// ```
/// # #[cfg(unix)]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use axum::{Router, routing::get};
/// use hangup::serve::serve;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{UnixListener, UnixStream};
///
/// # let path = std::env::temp_dir().join(format!("hangup-unix-{}", std::process::id()));
/// # let _ = std::fs::remove_file(&path);
/// let listener = UnixListener::bind(&path)?;
/// let router = Router::new().route("/", get(async || "hello"));
/// tokio::spawn(serve(listener, router).into_future());
///
/// let mut proxy = UnixStream::connect(&path).await?;
/// proxy.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
/// let mut response = String::new();
/// proxy.read_to_string(&mut response).await?;
/// assert!(response.ends_with("hello"));
/// # std::fs::remove_file(&path)
/// # }
/// # #[cfg(not(unix))]
/// # fn main() {}
/// ```
pub trait Listener: sealed::IntoAccept {}

impl<L: sealed::IntoAccept> Listener for L {}

/// The configuration of connections, for everything that the listener itself does not configure.
#[derive(Debug, Clone)]
#[expect(unnameable_types, reason = "a method of the sealed trait takes it")]
pub struct Setup {
    pub(super) monitor: MonitorConfig,
    pub(super) nodelay: bool,
    /// The protocols that TLS offers by ALPN (RFC 7301), unless the program has chosen them.
    #[cfg(feature = "tls")]
    pub(super) alpn: Vec<Vec<u8>>,
}

/// The protocol that a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(unnameable_types, reason = "a method of the sealed trait gives it")]
pub enum Protocol {
    /// Nothing was agreed on.
    Unknown,
    /// HTTP/1.1 or HTTP/1.0.
    Http1,
    /// HTTP/2.
    Http2,
}

#[expect(
    unnameable_types,
    reason = "nobody but this crate is to implement them"
)]
pub(super) mod sealed {
    use super::{ByteStream, Context, Future, Monitor, Poll, Protocol, Setup, SocketAddr, io};

    /// Applies the setup to everything that the listener has not configured.
    pub trait IntoAccept: Send + 'static {
        type Accept: Accept;

        /// Makes the listener one that the server can poll.
        fn into_accept(self, setup: Setup) -> Self::Accept;
    }

    /// A listener, as the server's loop sees it.
    pub trait Accept: Send + 'static {
        /// A connection that was accepted, before its handshake.
        type Accepted: Send + 'static;
        /// A connection whose handshake is done.
        type Stream: ByteStream;

        /// Refuses a socket that can never accept a connection.
        fn check(&self) -> io::Result<()>;

        /// Accepts one connection. A Unix socket has no address. After an error it is polled again, later.
        fn poll_accept(
            &mut self,
            cx: &mut Context<'_>,
        ) -> Poll<io::Result<(Self::Accepted, Option<SocketAddr>)>>;

        /// An accept failed with another error than the one before.
        fn accept_failed(&self, error: &io::Error);

        /// The monitor of a connection, which lives through the handshake.
        fn monitor(accepted: &Self::Accepted) -> Monitor;

        /// The handshake.
        fn handshake(
            accepted: Self::Accepted,
        ) -> impl Future<Output = io::Result<(Self::Stream, Protocol)>> + Send;
    }
}

/// Whether a socket from elsewhere, such as from systemd, is one that listens (`SO_ACCEPTCONN`, socket(7)).
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn listens(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    // A system that does not answer may accept nevertheless.
    if rustix::net::sockopt::socket_acceptconn(socket).unwrap_or(true) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "hangup: the listener's socket does not listen: no connection could be accepted",
    ))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn listens<L>(_: &L) -> io::Result<()> {
    Ok(())
}

impl sealed::IntoAccept for MonitoredListener {
    type Accept = Self;

    fn into_accept(self, setup: Setup) -> Self {
        self.or(&setup.monitor, setup.nodelay)
    }
}

impl sealed::Accept for MonitoredListener {
    type Accepted = MonitoredStream<TcpStream>;
    type Stream = MonitoredStream<TcpStream>;

    fn check(&self) -> io::Result<()> {
        listens(self.get_ref())
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Accepted, Option<SocketAddr>)>> {
        let (stream, address) = ready!(Self::poll_accept(self, cx))?;
        Poll::Ready(Ok((stream, Some(address))))
    }

    fn accept_failed(&self, error: &io::Error) {
        self.report_accept_error(error);
    }

    fn monitor(accepted: &Self::Accepted) -> Monitor {
        accepted.monitor()
    }

    async fn handshake(accepted: Self::Accepted) -> io::Result<(Self::Stream, Protocol)> {
        Ok((accepted, Protocol::Unknown))
    }
}

/// A Unix socket, whose connections get the server's configuration.
#[cfg(unix)]
#[derive(Debug)]
#[expect(unnameable_types, reason = "a type of the sealed trait")]
pub struct UnixAccept {
    listener: tokio::net::UnixListener,
    config: MonitorConfig,
}

#[cfg(unix)]
impl sealed::IntoAccept for tokio::net::UnixListener {
    type Accept = UnixAccept;

    fn into_accept(self, setup: Setup) -> UnixAccept {
        UnixAccept {
            listener: self,
            config: setup.monitor,
        }
    }
}

#[cfg(unix)]
impl sealed::Accept for UnixAccept {
    type Accepted = MonitoredStream<tokio::net::UnixStream>;
    type Stream = MonitoredStream<tokio::net::UnixStream>;

    fn check(&self) -> io::Result<()> {
        listens(&self.listener)
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Accepted, Option<SocketAddr>)>> {
        let (io, _) = ready!(self.listener.poll_accept(cx))?;
        let stream = MonitoredStream::with_config(io, &self.config)?;
        Poll::Ready(Ok((stream, None)))
    }

    fn accept_failed(&self, _: &io::Error) {}

    fn monitor(accepted: &Self::Accepted) -> Monitor {
        accepted.monitor()
    }

    async fn handshake(accepted: Self::Accepted) -> io::Result<(Self::Stream, Protocol)> {
        Ok((accepted, Protocol::Unknown))
    }
}
