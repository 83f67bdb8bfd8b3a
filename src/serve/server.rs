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
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.limits.head_timeout = timeout;
        self
    }

    /// How long a connection may be idle between two requests. Default: 60 s.
    ///
    /// A browser that comes back within this time saves a round trip, or three with TLS. An idle connection
    /// costs some ten kilobytes, and a place among [`max_connections`](Self::max_connections), which it
    /// loses to a new one when there is no other.
    pub fn keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.limits.keep_alive_timeout = timeout;
        self
    }

    /// The rate at which a request's body has to arrive while the program waits for it, or `None`. Default:
    /// 16 KiB in 30 s.
    ///
    /// A body that falls below it fails with an error of kind `TimedOut`. Streams on which a client is
    /// silent for long, such as those of gRPC, need `None`.
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
    pub fn stall_policy(mut self, policy: impl Into<Option<StallPolicy>>) -> Self {
        self.limits.stall_policy = policy.into();
        self
    }

    /// Within which time the system finds out that a client has vanished, or `None`. Default: 10 min.
    ///
    /// As [`MonitorConfig::dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout), which says why less is
    /// dangerous to slow readers, and which takes the place of this where the listener sets it.
    pub fn dead_peer_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.limits.dead_peer_timeout = timeout.into();
        self
    }

    /// How many connections there may be. Default: half of the process's limit of descriptors (a
    /// connection may have a file open), less 16, and at most 10 000.
    ///
    /// At the limit the oldest connection without a request is closed for a new one; if all have requests,
    /// the new one is closed.
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
    pub fn max_connections_per_address(mut self, max: usize) -> Self {
        self.limits.max_connections_per_address = max;
        self
    }

    /// How many requests there may be at once, on all connections, from the head to the end of the
    /// response. Default: 10 000.
    ///
    /// One more is answered with status 503 and `Retry-After: 1`.
    pub fn max_requests(mut self, max: usize) -> Self {
        self.limits.max_requests = max;
        self
    }

    /// How many requests there may be at once on an HTTP/2 connection. Default: 100, the least that RFC 9113
    /// recommends (section 6.5.2). In HTTP/1.1 it is always one.
    pub fn max_requests_per_connection(mut self, max: u32) -> Self {
        self.limits.max_requests_per_connection = max;
        self
    }

    /// The size of a request's head in bytes. Default: 32 KiB. A larger one is answered with status 431.
    pub fn max_head_size(mut self, max: usize) -> Self {
        self.limits.max_head_size = max;
        self
    }

    /// How many fields an HTTP/1.1 request's head may have. Default: 100. One with more is answered with
    /// status 431.
    pub fn max_headers(mut self, max: usize) -> Self {
        self.limits.max_headers = max;
        self
    }

    /// The length of a request's path and query in bytes. Default: 8 KiB. A longer one is answered with
    /// status 414.
    pub fn max_uri_length(mut self, max: usize) -> Self {
        self.limits.max_uri_length = max;
        self
    }

    /// How much hyper buffers for one connection in each direction, in bytes, at least 8 KiB. Default:
    /// 64 KiB.
    ///
    /// It is what a client costs that does not read, beside the socket's own buffer; the last chunk of a
    /// body may go beyond it. hyper's own default is 400 KiB.
    pub fn buffer_size(mut self, size: usize) -> Self {
        self.limits.buffer_size = size.max(8 << 10);
        self
    }

    /// Whether small writes leave at once (`TCP_NODELAY`). Default: yes.
    ///
    /// Without it a response whose head and body are written one after the other may wait for the client's
    /// delayed acknowledgement, 40 ms on Linux. [`MonitoredListener::nodelay`](crate::MonitoredListener::nodelay)
    /// takes the place of this one.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Speaks HTTP/1.1 alone, over TLS too. Default: HTTP/2 with clients that ask for it by ALPN (RFC 7301).
    ///
    /// ALPN offers what the server speaks, if the program's `rustls::ServerConfig` offers nothing.
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
    pub fn shutdown_at_once(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown.at_once = Some(Box::pin(signal));
        self
    }

    /// Drains at the first SIGINT or SIGTERM (Ctrl-C, where there are no signals), as
    /// [`graceful_shutdown`](Self::graceful_shutdown), and ends at once at the second.
    pub fn shutdown_on_signals(mut self) -> Self {
        self.shutdown.on_signals = true;
        self
    }

    /// How long connections may take to finish once a shutdown has begun. Default: 30 s.
    ///
    /// Less than what a service manager waits before it kills: 90 s in systemd, 30 s in Kubernetes, where it
    /// should be less than this.
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
