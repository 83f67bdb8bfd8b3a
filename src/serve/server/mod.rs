//! The server and its settings.

mod ending;
mod number_limits;
mod protocol;
mod size_limits;
mod time_limits;

use super::connection::ServerState;
use super::limits::Limits;
use super::report::Report;
use super::run;
use super::shutdown::Shutdown;
use super::task::Versions;
use super::usage::Usage;
use super::{Listener, RequestBody, Summary};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
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
///
/// HTTPS, with the feature `tls`: give it a [`TlsListener`](crate::tls::TlsListener). The server offers HTTP/2 and HTTP/1.1 by
/// ALPN, and counts handshakes that fail:
///
/// ```
/// # #[cfg(feature = "ring")] {
/// use axum::{Router, routing::get};
/// use hangup::MonitoredListener;
/// use hangup::serve::{LimitReason, serve};
/// use hangup::tls::TlsListener;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
/// # let runtime = tokio::runtime::Runtime::new().unwrap();
/// # runtime.block_on(async {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let (sender, mut limits) = tokio::sync::mpsc::unbounded_channel();
/// let router = Router::new().route("/", get(async || "hello"));
/// let server = serve(TlsListener::new(listener, acceptor), router)
///     .on_limit(move |event| drop(sender.send(event.reason)));
/// tokio::spawn(server.into_future());
///
/// // A client that speaks plain HTTP to this port.
/// let mut client = tokio::net::TcpStream::connect(address).await?;
/// client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
/// let _ = client.read_to_end(&mut Vec::new()).await;
/// assert_eq!(limits.recv().await, Some(LimitReason::Handshake));
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// # }
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
/// | requests of one address at once | 5000 | [`max_requests_per_address`](Self::max_requests_per_address) |
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
/// [`InvalidInput`](io::ErrorKind::InvalidInput), or replaced by the nearest one where the method says so. A limit may be
/// as large as its type allows, and is none then: a time is counted up to a year.
///
/// # Errors
///
/// The future fails only at the start: with a `dead_peer_timeout` that is out of range, with a `head_timeout` or a limit
/// `max_…` of zero (`max_requests` may be zero), if signals were asked for and cannot be received, or, on Linux, with a socket
/// that does not listen. Later errors of a connection end that connection, and errors of `accept` are retried, as
/// [`accept_retrying`](crate::MonitoredListener::accept_retrying) does.
///
/// # Upgrades
///
/// WebSockets and other upgrades of HTTP/1.1 work as in hyper. An upgraded connection still counts as a connection. Of
/// the time limits only the stall policy and the dead-peer timeout still apply to it. WebSockets over HTTP/2 (RFC 8441)
/// are not offered. The tunnel of a CONNECT over HTTP/2 counts as a request until it ends.
///
/// # Cancel safety
///
/// If the future is dropped, the server accepts no more connections. Those that are open continue in their own tasks.
///
/// # Examples
///
/// A server for a machine with little memory, behind a proxy:
///
/// ```
/// use axum::Router;
/// use hangup::MonitoredListener;
/// use hangup::serve::serve;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let server = serve(listener, Router::<()>::new())
///     .max_connections(200)
///     .max_connections_per_address(200) // all connections come from the proxy
///     .keep_alive_timeout(Duration::from_secs(75)) // longer than the proxy's own
///     .buffer_size(16 << 10);
/// let settings = format!("{server:?}");
/// assert!(settings.contains("max_connections: 200"));
/// assert!(settings.contains("buffer_size: 16384"));
/// # Ok(())
/// # }
/// ```
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

    /// Runs the server. The future fails only at the start: see the errors of [`Server`].
    fn into_future(self) -> Self::IntoFuture {
        let state = Arc::new(ServerState {
            limits: self.limits,
            report: self.report,
            usage: Usage::default(),
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
