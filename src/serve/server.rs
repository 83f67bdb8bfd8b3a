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

/// Serves the connections of `listener` by `service`: with limits that bear the open internet.
///
/// `listener` is a [`MonitoredListener`](crate::MonitoredListener), a
/// [`TlsListener`](crate::tls::TlsListener) or a `tokio::net::UnixListener`. `service` is an
/// `axum::Router`, any other tower service, or, by way of [`HyperService`](super::HyperService), one of
/// hyper's. It is cloned for each request.
///
/// Nothing is accepted before the server is awaited. It ends only if it was told how to:
/// [`graceful_shutdown`](Server::graceful_shutdown), [`shutdown_on_signals`](Server::shutdown_on_signals).
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

/// A server that is set up, and runs when it is awaited. Made by [`serve`].
///
/// # Default
///
/// | what | default | method |
/// |---|---|---|
/// | time for a TLS handshake | 10 s | [`TlsListener::handshake_timeout`](crate::tls::TlsListener::handshake_timeout) |
/// | TLS handshakes at once | 1024 | [`TlsListener::max_handshakes`](crate::tls::TlsListener::max_handshakes) |
/// | time for a request's head | 10 s | [`head_timeout`](Self::head_timeout) |
/// | time of an idle keep-alive connection | 60 s | [`keep_alive_timeout`](Self::keep_alive_timeout) |
/// | rate of a request's body | 16 KiB in 30 s | [`request_body_rate`](Self::request_body_rate) |
/// | rate at which a client reads | 64 KiB in 30 s | [`stall_policy`](Self::stall_policy) |
/// | time until a dead peer is found | 10 min | [`dead_peer_timeout`](Self::dead_peer_timeout) |
/// | connections | half of the descriptors, at most 10 000 | [`max_connections`](Self::max_connections) |
/// | connections of one address | half of that | [`max_connections_per_address`](Self::max_connections_per_address) |
/// | requests at once | 10 000 | [`max_requests`](Self::max_requests) |
/// | requests at once on one connection | 100 | [`max_requests_per_connection`](Self::max_requests_per_connection) |
/// | size of a head | 32 KiB | [`max_head_size`](Self::max_head_size) |
/// | fields of a head | 100 | [`max_headers`](Self::max_headers) |
/// | length of a target | 8 KiB | [`max_uri_length`](Self::max_uri_length) |
/// | what is buffered for a client | 64 KiB | [`buffer_size`](Self::buffer_size) |
/// | time to shut down | 30 s | [`shutdown_timeout`](Self::shutdown_timeout) |
/// | `TCP_NODELAY` | yes | [`nodelay`](Self::nodelay) |
/// | versions | HTTP/1.1, and HTTP/2 over TLS | [`http1_only`](Self::http1_only), [`h2c`](Self::h2c) |
///
/// Each use of a limit is counted, and told to [`on_limit`](Self::on_limit), with the feature `tracing` to
/// the log, and with `metrics` to the recorder: see [`LimitReason`](super::LimitReason).
///
/// # Upgrades
///
/// WebSockets and other upgrades of HTTP/1.1 work as in hyper. An upgraded connection counts as one, and has no time
/// limit any more but the stall policy and the dead-peer timeout. WebSockets over HTTP/2 (RFC 8441) are not offered.
///
/// # Cancel safety
///
/// If the future is dropped, no connection is accepted any more, and those that are open go on by themselves.
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
    /// How long a request's head may take, from its first byte on, and the first one from the end of the
    /// handshake on. Default: 10 s.
    ///
    /// A client that sends its head byte by byte (the attack is known as Slowloris) holds a connection for
    /// this time and no longer.
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
    /// A browser that comes back within this time saves a round trip, or three with TLS. An idle connection
    /// costs some ten kilobytes, and a place among [`max_connections`](Self::max_connections), which it
    /// loses to a new one when there is no other.
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

    /// The rate at which a request's body has to arrive while the program waits for it, or `None`. Default:
    /// 16 KiB in 30 s.
    ///
    /// A body that falls below it fails with an error of kind `TimedOut`. Streams on which a client is
    /// silent for long, such as those of gRPC, need `None`.
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

    /// The rate at which a client has to read what is sent to it, or `None`. Default: 64 KiB in 30 s.
    ///
    /// It counts only while there is something to send. A connection that falls below it is reset, with
    /// [`CloseReason::Stalled`](crate::CloseReason::Stalled). An HTTP/2 stream that falls below it is reset,
    /// which drops its response's body: the others on the connection go on, and the connection ends with its
    /// last one.
    ///
    /// A policy in the listener's [`MonitorConfig`](crate::MonitorConfig) takes the place of this one for
    /// the connection.
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

    /// Within which time the system finds out that a client has vanished, or `None`. Default: 10 min.
    ///
    /// As [`MonitorConfig::dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout), which says why less is
    /// dangerous to slow readers, and which takes the place of this where the listener sets it.
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

    /// How many connections there may be. Default: half of the process's limit of descriptors (a
    /// connection may have a file open), less 16, and at most 10 000.
    ///
    /// At the limit the oldest connection without a request is closed for a new one; if all have requests,
    /// the new one is closed.
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

    /// How many connections one address may have, or one /64 of IPv6. Default: half of the default of
    /// [`max_connections`](Self::max_connections).
    ///
    /// At the limit the oldest of them without a request is closed for a new one; if all have requests, the
    /// new one is closed. Behind a proxy all connections have its address: set both limits to the same
    /// number there.
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

    /// How many requests there may be at once, on all connections, from the head to the end of the
    /// response. Default: 10 000.
    ///
    /// One more is answered with status 503 and `Retry-After: 1`.
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

    /// How many requests there may be at once on an HTTP/2 connection. Default: 100, the least that RFC 9113
    /// recommends (section 6.5.2). In HTTP/1.1 it is always one.
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

    /// The size of a request's head in bytes. Default: 32 KiB. A larger one is answered with status 431.
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

    /// How many fields an HTTP/1.1 request's head may have. Default: 100. One with more is answered with
    /// status 431.
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

    /// The length of a request's path and query in bytes. Default: 8 KiB. A longer one is answered with
    /// status 414.
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
    /// It is what a client costs that does not read, beside the socket's own buffer; the last chunk of a
    /// body may go beyond it. hyper's own default is 400 KiB.
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

    /// Whether small writes leave at once (`TCP_NODELAY`). Default: yes.
    ///
    /// Without it a response whose head and body are written one after the other may wait for the client's
    /// delayed acknowledgement, 40 ms on Linux. [`MonitoredListener::nodelay`](crate::MonitoredListener::nodelay)
    /// takes the place of this one.
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

    /// Speaks HTTP/1.1 alone, over TLS too. Default: HTTP/2 with clients that ask for it by ALPN (RFC 7301).
    ///
    /// ALPN offers what the server speaks, if the program's `rustls::ServerConfig` offers nothing.
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

    /// Whether to speak HTTP/2 without TLS with clients that begin with it. Default: no.
    ///
    /// For gRPC inside a network, and behind proxies that speak it.
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

    /// Calls `f` at each use of a limit, from the task that uses it: `f` should be quick.
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

    /// Drains when `signal` resolves: accepts no connection any more, closes the idle ones, and lets the
    /// others finish the request that they have, for the time of
    /// [`shutdown_timeout`](Self::shutdown_timeout). What is still open then is aborted.
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

    /// Ends at once when `signal` resolves: aborts all connections, while draining too.
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

    /// Drains at the first SIGINT or SIGTERM (Ctrl-C, where there are no signals), as
    /// [`graceful_shutdown`](Self::graceful_shutdown), and ends at once at the second.
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

    /// How long connections may take to finish once a shutdown has begun. Default: 30 s.
    ///
    /// Less than what a service manager waits before it kills: 90 s in systemd, 30 s in Kubernetes, where it
    /// should be less than this.
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
