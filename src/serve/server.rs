//! The server: its settings.

use super::connection::ServerState;
use super::limits::Limits;
use super::report::Report;
use super::run;
use super::shutdown::Shutdown;
use super::task::Versions;
use super::{LimitEvent, Listener, RequestBody, Summary};
use crate::policy::StallPolicy;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tower_service::Service;

/// Serves the connections of `listener` with `service`, within limits that suit the open internet.
///
/// `listener` is a [`MonitoredListener`](crate::MonitoredListener), a
/// [`TlsListener`](crate::tls::TlsListener) or a `tokio::net::UnixListener`. `service` is an
/// `axum::Router`, any other tower service, or, wrapped in [`HyperService`](super::HyperService), one of
/// hyper's. It is cloned for each request.
///
/// The server accepts nothing before it is awaited. It runs forever unless it has a
/// [`graceful_shutdown`](Server::graceful_shutdown), a [`shutdown_at_once`](Server::shutdown_at_once) or
/// [`shutdown_on_signals`](Server::shutdown_on_signals).
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use hangup::MonitoredListener;
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let listener = MonitoredListener::bind("0.0.0.0:8080").await?;
///     let router = Router::new().route("/", get(|| async { "hello\n" }));
///     let summary = hangup::serve::serve(listener, router)
///         .shutdown_on_signals()
///         .await?;
///     eprintln!("{summary}");
///     Ok(())
/// }
/// ```
pub fn serve<L: Listener, S>(listener: L, service: S) -> Server<L, S> {
    Server {
        listener,
        service,
        limits: Limits::default(),
        report: Report::default(),
        versions: Versions {
            http2: true,
            h2c: false,
        },
        nodelay: true,
        shutdown: Shutdown::default(),
    }
}

/// A server. [`serve`] makes it, its methods configure it, and `.await` runs it.
///
/// It implements [`IntoFuture`]. To run it in a task of its own:
/// `tokio::spawn(server.into_future())`. The future resolves to a [`Summary`] after a shutdown.
///
/// # Default
///
/// | what | default | method |
/// |---|---|---|
/// | time for a TLS handshake | 10 s | [`TlsListener::handshake_timeout`](crate::tls::TlsListener::handshake_timeout) |
/// | TLS handshakes at once | 1024 | [`TlsListener::max_handshakes`](crate::tls::TlsListener::max_handshakes) |
/// | time for a request's head | 10 s | [`head_timeout`](Self::head_timeout) |
/// | time of an idle keep-alive connection | 60 s | [`keep_alive_timeout`](Self::keep_alive_timeout) |
/// | time for a client that is still sending after its response | 30 s | [`lingering_time`](Self::lingering_time) |
/// | rate of a request's body | 16 KiB in 30 s | [`request_body_rate`](Self::request_body_rate) |
/// | rate at which a client reads | 64 KiB in 30 s | [`stall_policy`](Self::stall_policy) |
/// | time until a dead peer is found | 10 min | [`dead_peer_timeout`](Self::dead_peer_timeout) |
/// | connections | half of the descriptors, at most 10 000 | [`max_connections`](Self::max_connections) |
/// | connections of one address | half of that | [`max_connections_per_address`](Self::max_connections_per_address) |
/// | requests at once | 10 000 | [`max_requests`](Self::max_requests) |
/// | requests at once on one connection | 100 | [`max_requests_per_connection`](Self::max_requests_per_connection) |
/// | control frames of an HTTP/2 client | 1000 in 10 s beyond its requests' | [`max_control_frames`](Self::max_control_frames) |
/// | size of a head | 32 KiB | [`max_head_size`](Self::max_head_size) |
/// | fields of a head | 100 | [`max_headers`](Self::max_headers) |
/// | length of a target | 8 KiB | [`max_uri_length`](Self::max_uri_length) |
/// | what is buffered for a client | 64 KiB | [`buffer_size`](Self::buffer_size) |
/// | time to shut down | 30 s | [`shutdown_timeout`](Self::shutdown_timeout) |
/// | `TCP_NODELAY` | yes | [`nodelay`](Self::nodelay) |
/// | versions | HTTP/1.1, and HTTP/2 over TLS | [`http1_only`](Self::http1_only), [`h2c`](Self::h2c) |
///
/// Each use of a limit is counted and reported to [`on_limit`](Self::on_limit), to the log (feature `tracing`) and to
/// the recorder (feature `metrics`): see [`LimitReason`](super::LimitReason).
///
/// A value that a limit cannot have is refused when the server starts, with an error of the kind
/// [`InvalidInput`](io::ErrorKind::InvalidInput), or raised to the nearest one where the method says so.
///
/// # Errors
///
/// The future fails only at the start: with a `dead_peer_timeout` that is out of range, or if signals were asked for and
/// cannot be received. Later errors of a connection end that connection, and errors of `accept` are retried, as
/// [`accept_retrying`](crate::MonitoredListener::accept_retrying) does.
///
/// # Upgrades
///
/// WebSockets and other upgrades of HTTP/1.1 work as in hyper. An upgraded connection still counts as a connection. Of
/// the time limits only the stall policy and the dead-peer timeout still apply to it. WebSockets over HTTP/2 (RFC 8441)
/// are not offered.
///
/// # Cancel safety
///
/// If the future is dropped, the server accepts no more connections. Those that are open continue in their own tasks.
#[must_use = "a server does nothing unless it is awaited"]
pub struct Server<L, S> {
    listener: L,
    service: S,
    limits: Limits,
    report: Report,
    versions: Versions,
    nodelay: bool,
    shutdown: Shutdown,
}

impl<L, S> Server<L, S> {
    /// How long a request's head may take. Default: 10 s. The time of the first head starts at the end of the handshake,
    /// and that of each later one with its first byte.
    ///
    /// A client that sends its head byte by byte (the Slowloris attack) holds a connection for this time and no
    /// longer. The connection is closed without a response: a client that is this slow seldom reads one.
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::serve;
    /// # use std::time::Duration;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, Router::new()).head_timeout(Duration::from_millis(50));
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: loc").await?; // and no more
    /// let mut response = String::new();
    /// client.read_to_string(&mut response).await?;
    /// assert_eq!(response, ""); // the server closed the connection
    /// # Ok(())
    /// # }
    /// ```
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.limits.head_timeout = timeout;
        self
    }

    /// How long a connection may be idle between two requests. Default: 60 s.
    ///
    /// A browser that returns within this time saves a round trip, or three with TLS. An idle connection costs some ten
    /// kilobytes and a place among [`max_connections`](Self::max_connections), which it loses to a new connection when
    /// all places are taken.
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::serve;
    /// # use std::time::Duration;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, Router::new()).keep_alive_timeout(Duration::from_millis(50));
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    /// let mut response = String::new();
    /// client.read_to_string(&mut response).await?; // ends with the connection
    /// assert!(response.starts_with("HTTP/1.1 404"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.limits.keep_alive_timeout = timeout;
        self
    }

    /// How long the server reads on after a response to a client that is still sending its request; zero for not at all.
    /// Default: 30 s.
    ///
    /// A service may answer before it has read the whole body, with 413 for example, and so does the server beyond its own
    /// limits. hyper then closes an HTTP/1.1 connection. A socket that is closed with unread input resets the connection,
    /// and the client loses the response. So the server shuts down its direction only, and discards what arrives until
    /// the client closes too, pauses for five seconds, or has sent 256 MiB more. nginx's `lingering_close` does the same.
    ///
    /// Such a connection counts as one without a request: it makes room for a new one at
    /// [`max_connections`](Self::max_connections).
    ///
    /// ```
    /// use axum::Router;
    /// use axum::http::StatusCode;
    /// use axum::routing::post;
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let refuse = post(async || StatusCode::PAYLOAD_TOO_LARGE); // reads nothing
    /// let server = serve(listener, Router::new().route("/", refuse)).lingering_time(Duration::from_secs(10));
    /// tokio::spawn(server.into_future());
    ///
    /// // A client that reads the response only when it has sent everything.
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n").await?;
    /// client.write_all(&vec![0; 4_000_000]).await?;
    /// let mut response = String::new();
    /// client.read_to_string(&mut response).await?;
    /// assert!(response.starts_with("HTTP/1.1 413"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn lingering_time(mut self, time: Duration) -> Self {
        self.limits.lingering_time = time;
        self
    }

    /// The rate at which a request's body has to arrive while the program waits for it; `None` for no limit. Default:
    /// 16 KiB in 30 s.
    ///
    /// A slower body fails with an error of the kind [`TimedOut`](io::ErrorKind::TimedOut), and the service decides how to
    /// answer. Time in which the service does not poll the body does not count. A client that may be silent for long
    /// within a request, as on a stream of gRPC, needs `None`.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::body::{Body, to_bytes};
    /// use axum::http::StatusCode;
    /// use axum::routing::post;
    /// use hangup::{MonitoredListener, StallPolicy};
    /// # use hangup::serve::serve;
    /// # use std::time::Duration;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// async fn upload(body: Body) -> StatusCode {
    ///     match to_bytes(body, 1 << 20).await {
    ///         Ok(_) => StatusCode::OK,
    ///         Err(_) => StatusCode::REQUEST_TIMEOUT,
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let rate = StallPolicy::new(1, Duration::from_millis(100));
    /// let server = serve(listener, Router::new().route("/", post(upload))).request_body_rate(rate);
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await?;
    /// let mut status = [0; 12];
    /// client.read_exact(&mut status).await?;
    /// assert_eq!(&status, b"HTTP/1.1 408");
    /// # Ok(())
    /// # }
    /// ```
    pub fn request_body_rate(mut self, rate: impl Into<Option<StallPolicy>>) -> Self {
        self.limits.request_body_rate = rate.into();
        self
    }

    /// The rate at which a client has to read the responses; `None` for no limit. Default: 64 KiB in 30 s.
    ///
    /// It counts only while there is something to send. A connection whose client is slower is reset, with
    /// [`CloseReason::Stalled`](crate::CloseReason::Stalled). An HTTP/2 stream whose client is slower is reset, and its
    /// response's body is dropped. The other streams of the connection go on. If no other request is under way, the
    /// connection ends too.
    ///
    /// A policy in the listener's [`MonitorConfig`](crate::MonitorConfig) replaces this one for the connection. The rate
    /// of HTTP/2 streams is always this one.
    ///
    /// ```
    /// use hangup::{CloseReason, Monitor, MonitoredListener, StallPolicy};
    /// # use axum::Router;
    /// # use axum::routing::get;
    /// # use hangup::serve::serve;
    /// # use std::time::Duration;
    /// # use tokio::io::AsyncWriteExt;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # let (report, mut monitors) = tokio::sync::mpsc::unbounded_channel();
    /// let large = async move |monitor: Monitor| {
    /// #     report.send(monitor).unwrap();
    ///     vec![0_u8; 64 << 20] // more than the buffers of both kernels
    /// };
    /// let policy = StallPolicy::new(1, Duration::from_millis(200));
    /// let server = serve(listener, Router::new().route("/", get(large))).stall_policy(policy);
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?; // and never reads
    /// # let monitor = monitors.recv().await.unwrap();
    /// assert_eq!(monitor.closed().await, CloseReason::Stalled);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stall_policy(mut self, policy: impl Into<Option<StallPolicy>>) -> Self {
        self.limits.stall_policy = policy.into();
        self
    }

    /// How soon the system detects a client that has lost its power or its network; `None` for never. Default: 10 min.
    ///
    /// This is [`MonitorConfig::dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout), which says what values are
    /// possible, and why a short time also ends slow readers. A value in the listener's configuration replaces this one.
    ///
    /// A server for clients that may lose their network, and read fast:
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let server = serve(listener, axum::Router::<()>::new()).dead_peer_timeout(Duration::from_secs(60));
    /// # drop(server);
    ///
    /// // A time that the system's timers cannot have is refused when the server starts.
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let server = serve(listener, axum::Router::<()>::new()).dead_peer_timeout(Duration::ZERO);
    /// assert_eq!(server.await.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok(())
    /// # }
    /// ```
    pub fn dead_peer_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.limits.dead_peer_timeout = timeout.into();
        self
    }

    /// How many connections may be open. Default: half of the process's limit of descriptors (`RLIMIT_NOFILE`,
    /// getrlimit(2)) less 16, at least 8 and at most 10 000. Half, because a connection may have a file open.
    ///
    /// At the limit the oldest connection without a request is closed to make room for a new one. If all have requests,
    /// the new one is closed.
    ///
    /// An idle connection costs some ten kilobytes; one that is sending costs up to the
    /// [buffer](Self::buffer_size) and the kernel's send buffer more. A higher number needs a higher limit of descriptors:
    /// `LimitNOFILE=` of systemd, or `ulimit -n`.
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::serve;
    /// # use tokio::io::AsyncReadExt;
    /// # use tokio::net::TcpStream;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, Router::new()).max_connections(1);
    /// # tokio::spawn(server.into_future());
    /// let mut idle = TcpStream::connect(address).await?;
    /// let newer = TcpStream::connect(address).await?;
    /// let ended = idle.read(&mut [0]).await; // makes room for the newer one
    /// assert!(matches!(ended, Ok(0) | Err(_)));
    /// # drop(newer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_connections(mut self, max: usize) -> Self {
        self.limits.max_connections = max;
        self
    }

    /// How many connections one address may have. Default: half of the default of
    /// [`max_connections`](Self::max_connections).
    ///
    /// For IPv6 all addresses of a /64 count as one, because a network gives a host at least that many (RFC 6177). An IPv4
    /// address that a dual-stack listener reports as `::ffff:192.0.2.1` counts as `192.0.2.1`. Unix sockets have no
    /// address, and no such limit.
    ///
    /// At the limit the oldest connection of the address without a request is closed to make room for a new one. If all
    /// of them have requests, the new one is closed. Behind a proxy all connections have the proxy's address: set both
    /// limits to the same number there. Many clients may also share the address of a company or of a mobile network.
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::{LimitReason, serve};
    /// # use tokio::io::AsyncReadExt;
    /// # use tokio::net::TcpStream;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # let (report, mut events) = tokio::sync::mpsc::unbounded_channel();
    /// let server = serve(listener, Router::new())
    ///     .max_connections_per_address(1)
    ///     .on_limit(move |event| drop(report.send(event.reason)));
    /// # tokio::spawn(server.into_future());
    /// let first = TcpStream::connect(address).await?;
    /// let second = TcpStream::connect(address).await?;
    /// assert_eq!(events.recv().await, Some(LimitReason::ConnectionsPerAddress));
    /// # drop((first, second));
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_connections_per_address(mut self, max: usize) -> Self {
        self.limits.max_connections_per_address = max;
        self
    }

    /// How many requests may be under way at once on all connections together, each from its head to the end of its
    /// response. Default: 10 000.
    ///
    /// One more is answered with status 503 and `Retry-After: 1`, and the service does not see it. Choose the number that
    /// the slowest part behind the server can bear, such as a pool of database connections with its queue. A response
    /// that streams for hours, as server-sent events do, is under way for hours.
    ///
    /// ```
    /// # use axum::Router;
    /// # use axum::routing::get;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::serve;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, Router::new().route("/", get(|| async { "hello" }))).max_requests(0);
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    /// let mut response = String::new();
    /// client.read_to_string(&mut response).await?;
    /// assert!(response.starts_with("HTTP/1.0 503") || response.starts_with("HTTP/1.1 503"));
    /// assert!(response.to_ascii_lowercase().contains("\r\nretry-after: 1\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_requests(mut self, max: usize) -> Self {
        self.limits.max_requests = max;
        self
    }

    /// How many requests may be under way at once on one HTTP/2 connection (`SETTINGS_MAX_CONCURRENT_STREAMS`).
    /// Default: 100, the least that RFC 9113 recommends (section 6.5.2). On HTTP/1.1 it is always one.
    ///
    /// The client learns the number and waits by itself. A request beyond it is refused with `REFUSED_STREAM`, which tells
    /// the client that it may be sent again.
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::serve;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, Router::new()).h2c(true).max_requests_per_connection(7);
    /// # tokio::spawn(server.into_future());
    /// # let mut client = tokio::net::TcpStream::connect(address).await?;
    /// # client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    /// # let mut head = [0; 9];
    /// # client.read_exact(&mut head).await?;
    /// # let mut settings = vec![0; usize::from(head[2])];
    /// # client.read_exact(&mut settings).await?;
    /// // The server's SETTINGS frame announces it: SETTINGS_MAX_CONCURRENT_STREAMS is number 3.
    /// assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 7]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_requests_per_connection(mut self, max: u32) -> Self {
        self.limits.max_requests_per_connection = max;
        self
    }

    /// How many frames an HTTP/2 client may send in ten seconds beyond what its requests account for: PING, SETTINGS,
    /// PRIORITY, WINDOW_UPDATE, and any other frame that is not DATA. Default: 1000; `u32::MAX` is no limit.
    ///
    /// Such a frame costs little to send, and the server has to act on each (CVE-2019-9512, CVE-2019-9513, CVE-2019-9515). A
    /// request accounts for 20 frames. A part of a response, of up to 16 KiB, accounts for 10 and one more for each 256 bytes.
    /// Clients stay far below: they send a WINDOW_UPDATE or two for a DATA frame that they have read, a few PRIORITY frames
    /// for a request, and a PING every few seconds. A connection that is beyond the limit is closed, with all its requests.
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::{LimitReason, serve};
    /// # use tokio::io::AsyncWriteExt;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # let (report, mut events) = tokio::sync::mpsc::unbounded_channel();
    /// let server = serve(listener, Router::new())
    ///     .h2c(true)
    ///     .max_control_frames(10)
    ///     .on_limit(move |event| drop(report.send(event.reason)));
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    /// let ping = b"\0\0\x08\x06\0\0\0\0\0 payload"; // RFC 9113, section 6.7
    /// client.write_all(&ping.repeat(10)).await?;
    /// assert_eq!(events.recv().await, Some(LimitReason::ControlFrames));
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_control_frames(mut self, max: u32) -> Self {
        self.limits.max_control_frames = max;
        self
    }

    /// The largest head of a request in bytes. Default: 32 KiB. A larger one is answered with status 431.
    ///
    /// Large cookies and tokens of single sign-on are what makes heads large: a Kerberos ticket may take 16 KiB. On
    /// HTTP/2 it is the size of the decompressed list of fields (`SETTINGS_MAX_HEADER_LIST_SIZE`).
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::serve;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, Router::new()).max_head_size(16 << 10);
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// let cookie = "x".repeat(17 << 10);
    /// client.write_all(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await?;
    /// let mut status = [0; 12];
    /// client.read_exact(&mut status).await?;
    /// assert_eq!(&status, b"HTTP/1.1 431");
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_head_size(mut self, max: usize) -> Self {
        self.limits.max_head_size = max;
        self
    }

    /// How many fields the head of an HTTP/1.1 request may have. Default: 100. A head with more is answered with
    /// status 431. On HTTP/2 only [`max_head_size`](Self::max_head_size) bounds them.
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::serve;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, Router::new()).max_headers(2);
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nCookie: b\r\n\r\n").await?;
    /// let mut status = [0; 12];
    /// client.read_exact(&mut status).await?;
    /// assert_eq!(&status, b"HTTP/1.1 431");
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_headers(mut self, max: usize) -> Self {
        self.limits.max_headers = max;
        self
    }

    /// The greatest length of a request's path and query in bytes. Default: 8 KiB, what RFC 9110 (section 4.1) recommends
    /// as the least. A longer one is answered with status 414.
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::serve;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, Router::new()).max_uri_length(100);
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// let target = "/a".repeat(51);
    /// client.write_all(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await?;
    /// let mut status = [0; 12];
    /// client.read_exact(&mut status).await?;
    /// assert_eq!(&status, b"HTTP/1.1 414");
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_uri_length(mut self, max: usize) -> Self {
        self.limits.max_uri_length = max;
        self
    }

    /// How much hyper buffers for one connection in each direction, in bytes, at least 8 KiB. Default:
    /// 64 KiB.
    ///
    /// A client that does not read costs this much, beside the kernel's send buffer. The last chunk of a body may go
    /// beyond it: a body should yield chunks of at most this size. hyper's own default is 400 KiB. On HTTP/1.1 the buffer
    /// is never smaller than [`max_head_size`](Self::max_head_size).
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let server = serve(listener, axum::Router::<()>::new()).buffer_size(1); // raised to 8 KiB
    /// assert!(format!("{server:?}").contains("buffer_size: 8192"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn buffer_size(mut self, size: usize) -> Self {
        self.limits.buffer_size = size.max(8 << 10);
        self
    }

    /// Whether small writes leave at once (`TCP_NODELAY`, tcp(7)). Default: yes.
    ///
    /// Without it a response whose head and body are written separately may wait for the client's delayed
    /// acknowledgement, 40 ms on Linux. [`MonitoredListener::nodelay`](crate::MonitoredListener::nodelay) replaces this
    /// setting where the program has called it. Unix sockets have no such option.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// // For bulk responses alone: the kernel may collect small writes.
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let server = serve(listener, axum::Router::<()>::new()).nodelay(false);
    /// assert!(format!("{server:?}").contains("nodelay: false"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Speaks only HTTP/1.1, over TLS too. Default: HTTP/2 with clients that ask for it by ALPN (RFC 7301).
    ///
    /// If the `alpn_protocols` of the program's `rustls::ServerConfig` are empty, the server fills in the protocols that it
    /// speaks. Otherwise it leaves them as they are. It turns [`h2c`](Self::h2c) off.
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::serve;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, Router::new()).http1_only();
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    /// let mut answer = Vec::new();
    /// let _ = client.read_to_end(&mut answer).await;
    /// assert!(!answer.starts_with(b"\0")); // no HTTP/2 frame
    /// # Ok(())
    /// # }
    /// ```
    pub fn http1_only(mut self) -> Self {
        self.versions = Versions {
            http2: false,
            h2c: false,
        };
        self
    }

    /// Whether to speak HTTP/2 without TLS with clients that begin with its preface (RFC 9113, section 3.3, "prior
    /// knowledge"). Default: no. Other clients still get HTTP/1.1. The `Upgrade: h2c` of older clients is ignored.
    ///
    /// It serves gRPC inside a network, and proxies that speak HTTP/2 to the servers behind them.
    ///
    /// ```
    /// # use axum::Router;
    /// # use axum::routing::get;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::serve;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, Router::new().route("/", get(|| async { "hello" }))).h2c(true);
    /// # tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    /// let mut head = [0; 9];
    /// client.read_exact(&mut head).await?;
    /// assert_eq!(head[3], 4); // a SETTINGS frame (RFC 9113, section 6.5): it speaks HTTP/2
    /// # Ok(())
    /// # }
    /// ```
    pub fn h2c(mut self, h2c: bool) -> Self {
        self.versions.h2c = h2c;
        self.versions.http2 |= h2c;
        self
    }

    /// Calls `f` at each use of a limit. The task of the connection calls it, so `f` must not block: send what it gets to
    /// a channel, or add to a counter. A flood of clients is a flood of calls.
    ///
    /// ```
    /// # use axum::Router;
    /// # use hangup::MonitoredListener;
    /// # async fn example(listener: MonitoredListener, router: Router) {
    /// let server = hangup::serve::serve(listener, router)
    ///     .on_limit(|event| eprintln!("{:?}: {}", event.peer, event.reason));
    /// # drop(server);
    /// # }
    /// ```
    pub fn on_limit(mut self, f: impl Fn(&LimitEvent) + Send + Sync + 'static) -> Self {
        self.report.on_limit = Some(Box::new(f));
        self
    }

    /// Shuts the server down gracefully when `signal` resolves: it accepts no more connections, closes the idle ones, and
    /// lets the others finish their requests within [`shutdown_timeout`](Self::shutdown_timeout). Connections that are
    /// still open then are aborted. HTTP/2 clients get a GOAWAY frame.
    ///
    /// The listener is closed at once, so that a new process can bind the address, and a load balancer notices.
    /// Responses that never end, as server-sent events do not, last for the whole timeout: end them when `signal` resolves.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let server = hangup::serve::serve(listener, axum::Router::new())
    ///     .graceful_shutdown(async { drop(stopped.await) });
    /// stop.send(()).unwrap();
    /// assert_eq!(server.await?.connections(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown.graceful = Some(Box::pin(signal));
        self
    }

    /// Ends at once when `signal` resolves: aborts all connections, also during a graceful shutdown. The clients get a
    /// reset.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let (abort, aborted) = tokio::sync::oneshot::channel::<()>();
    /// let server = serve(listener, axum::Router::new()).shutdown_at_once(async { drop(aborted.await) });
    /// # let server = tokio::spawn(server.into_future());
    /// let client = tokio::net::TcpStream::connect(address).await?; // stays idle
    /// abort.send(()).unwrap();
    /// let summary = server.await??;
    /// assert_eq!(summary.connections() as usize, summary.finished() + summary.aborted());
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown_at_once(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown.at_once = Some(Box::pin(signal));
        self
    }

    /// Shuts down at the first SIGINT or SIGTERM as [`graceful_shutdown`](Self::graceful_shutdown) does, and ends at once
    /// at the second. On systems without signals it is Ctrl-C.
    ///
    /// From the start of the server on the process no longer ends by these signals alone (tokio's
    /// [`signal`](tokio::signal) replaces their default action for the rest of the process).
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    ///
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let server = serve(listener, axum::Router::new()).shutdown_on_signals();
    /// let server = tokio::spawn(server.into_future());
    /// # tokio::task::yield_now().await;
    /// // As `kill -TERM` does, and a service manager.
    /// rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
    /// assert_eq!(server.await??.connections(), 0);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub fn shutdown_on_signals(mut self) -> Self {
        self.shutdown.on_signals = true;
        self
    }

    /// How long connections may take to finish after a shutdown has begun. Default: 30 s.
    ///
    /// It should be shorter than the time after which the service manager kills the process. systemd waits for 90 s
    /// (`TimeoutStopSec=`). Kubernetes waits for 30 s (`terminationGracePeriodSeconds`): set at most 25 s there.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::routing::get;
    /// use hangup::MonitoredListener;
    /// use hangup::serve::{LimitReason, serve};
    /// use std::time::Duration;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let (begin, mut begun) = tokio::sync::mpsc::channel::<()>(1);
    /// let endless = async move || {
    ///     begin.send(()).await.unwrap();
    ///     std::future::pending::<()>().await
    /// };
    /// let server = serve(listener, Router::new().route("/", get(endless)))
    ///     .shutdown_timeout(Duration::from_millis(50))
    ///     .graceful_shutdown(async move { drop(begun.recv().await) });
    /// let server = tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    /// let summary = server.await??;
    /// assert_eq!((summary.finished(), summary.aborted()), (0, 1));
    /// assert_eq!(summary.limits(), [(LimitReason::Shutdown, 1)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.limits.shutdown_timeout = timeout;
        self
    }
}

impl<L, S, B> IntoFuture for Server<L, S>
where
    L: Listener,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = io::Result<Summary>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<Summary>> + Send>>;

    /// Runs the server. It fails only if signals were asked for and cannot be heard.
    fn into_future(self) -> Self::IntoFuture {
        let state = Arc::new(ServerState {
            limits: self.limits,
            report: self.report,
            in_flight: AtomicUsize::new(0),
        });
        Box::pin(run::run(
            self.listener,
            self.service,
            state,
            self.versions,
            self.nodelay,
            self.shutdown,
        ))
    }
}

impl<L: fmt::Debug, S> fmt::Debug for Server<L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("limits", &self.limits)
            .field("versions", &self.versions)
            .field("nodelay", &self.nodelay)
            .finish_non_exhaustive()
    }
}
