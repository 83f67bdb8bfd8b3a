//! The state of one connection, which its task, its I/O and its requests share.

use super::activity::Activity;
use super::control_frames::EarnedFrames;
use super::file::Slot;
use super::limits::Limits;
use super::report::Report;
use super::usage::{Counter, Usage};
use super::{LimitReason, prefix::Prefix};
use crate::monitor::Monitor;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// The connection of a request. A [`Server`](super::Server) puts it into the extensions of every request.
///
/// With the feature `axum` the extractors [`Monitor`] and [`Peer`](crate::axum::Peer) take it from there; so does
/// axum's `Extension<Connection>`. A clone is cheap, and keeps neither the connection nor its descriptor open. A
/// middleware that builds a new request has to copy the extensions.
///
/// ```
/// use hangup::MonitoredListener;
/// use hangup::serve::{Connection, HyperService, RequestBody, serve};
/// use http::{Request, Response};
/// use hyper::service::service_fn;
/// use std::convert::Infallible;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// async fn hello(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
///     let connection = request.extensions().get::<Connection>().expect("served by hangup");
///     let accepted = connection.monitor().transfer().accepted;
///     Ok(Response::new(format!("{accepted} bytes before this response")))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// tokio::spawn(serve(listener, HyperService::new(service_fn(hello))).into_future());
///
/// let mut client = tokio::net::TcpStream::connect(address).await?;
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
/// let mut response = String::new();
/// client.read_to_string(&mut response).await?;
/// assert!(response.ends_with("0 bytes before this response"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connection {
    state: Arc<ConnectionState>,
}

impl Connection {
    pub(super) fn new(state: Arc<ConnectionState>) -> Self {
        Self { state }
    }

    pub(super) fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }

    /// The connection's monitor. On HTTP/2 all requests of the connection share it.
    ///
    /// ```
    /// use axum::{Extension, Router, routing::get};
    /// use hangup::serve::Connection;
    ///
    /// /// Computes for a client that may leave: stops when it does.
    /// async fn report(Extension(connection): Extension<Connection>) -> String {
    ///     let monitor = connection.monitor();
    ///     let mut lines = 0;
    ///     while lines < 1000 && !monitor.is_closed() {
    ///         lines += 1;
    ///         tokio::task::yield_now().await;
    ///     }
    ///     format!("{lines} lines\n")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # let listener = hangup::MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let router = Router::new().route("/", get(report));
    /// # tokio::spawn(hangup::serve::serve(listener, router).into_future());
    /// # let mut client = tokio::net::TcpStream::connect(address).await?;
    /// # client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    /// # let mut response = String::new();
    /// # client.read_to_string(&mut response).await?;
    /// assert!(response.ends_with("1000 lines\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn monitor(&self) -> &Monitor {
        &self.state.monitor
    }

    /// The client's address; `None` for a Unix socket. Behind a proxy it is the proxy's address: the client's own is
    /// then in a header that the proxy sets, such as `Forwarded` (RFC 7239).
    ///
    /// ```
    /// use axum::{Extension, Router, routing::get};
    /// use hangup::serve::Connection;
    ///
    /// async fn who(Extension(connection): Extension<Connection>) -> String {
    ///     match connection.remote_addr() {
    ///         Some(address) => address.to_string(),
    ///         None => "a Unix socket".to_owned(),
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # let listener = hangup::MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # tokio::spawn(hangup::serve::serve(listener, Router::new().route("/", get(who))).into_future());
    /// # let mut client = tokio::net::TcpStream::connect(address).await?;
    /// # client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    /// # let mut response = String::new();
    /// # client.read_to_string(&mut response).await?;
    /// assert!(response.ends_with(&client.local_addr()?.to_string()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Anybody can send such a header, so it counts only on a connection of the proxy, and only its last entry, which the proxy has
    /// added:
    ///
    /// ```
    /// use axum::{Extension, Router, http::HeaderMap, routing::get};
    /// use hangup::serve::Connection;
    /// use std::net::IpAddr;
    ///
    /// /// The client of a request that came through the proxy, or directly.
    /// fn client(connection: &Connection, headers: &HeaderMap, proxy: IpAddr) -> Option<IpAddr> {
    ///     let peer = connection.remote_addr()?.ip();
    ///     if peer != proxy {
    ///         return Some(peer);
    ///     }
    ///     let list = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    ///     list.rsplit(',').next()?.trim().parse().ok()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # let listener = hangup::MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let who = async |Extension(connection): Extension<Connection>, headers: HeaderMap| {
    ///     let proxy = [127, 0, 0, 1].into();
    ///     client(&connection, &headers, proxy).map_or("unknown".to_owned(), |client| client.to_string())
    /// };
    /// # tokio::spawn(hangup::serve::serve(listener, Router::new().route("/", get(who))).into_future());
    /// let mut proxy = tokio::net::TcpStream::connect(address).await?;
    /// // The client claims to be somebody else, and the proxy appends what it knows.
    /// let request = "GET / HTTP/1.0\r\nX-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n\r\n";
    /// proxy.write_all(request.as_bytes()).await?;
    /// let mut response = String::new();
    /// proxy.read_to_string(&mut response).await?;
    /// assert!(response.ends_with("192.0.2.7"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.state.remote
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("monitor", &self.state.monitor)
            .field("remote_addr", &self.state.remote)
            .finish()
    }
}

/// A command to a connection's task. The variants are ordered: a command never goes back to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Command {
    /// Go on.
    Run,
    /// Finish the requests that are under way, and end.
    Drain,
    /// End now.
    End,
}

/// The part of the state that all connections of a server share.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) limits: Limits,
    pub(super) report: Report,
    /// What all connections together have in use.
    pub(super) usage: Usage,
}

/// The state of one connection. Its task, its I/O and its requests hold it.
pub(super) struct ConnectionState {
    pub(super) server: Arc<ServerState>,
    pub(super) monitor: Monitor,
    pub(super) remote: Option<SocketAddr>,
    pub(super) activity: Activity,
    /// The control frames of HTTP/2 that the requests account for.
    pub(super) earned_frames: EarnedFrames,
    /// Small parts of responses that h2 has not written.
    pub(super) small_parts: Counter,
    /// Where a response's body leaves a file for the I/O to send.
    pub(super) slot: Slot,
    /// What the connections of this address have in use. A Unix socket has none.
    address_usage: OnceLock<Arc<Usage>>,
    command: AtomicU8,
    commanded: Notify,
}

impl ConnectionState {
    pub(super) fn new(
        server: Arc<ServerState>,
        monitor: Monitor,
        remote: Option<SocketAddr>,
    ) -> Self {
        Self {
            server,
            monitor,
            remote,
            activity: Activity::new(),
            earned_frames: EarnedFrames::default(),
            small_parts: Counter::default(),
            slot: Slot::default(),
            address_usage: OnceLock::new(),
            command: AtomicU8::new(Command::Run as u8),
            commanded: Notify::new(),
        }
    }

    pub(super) fn prefix(&self) -> Option<Prefix> {
        self.remote.map(|address| Prefix::from(address.ip()))
    }

    /// The connection was admitted, and shares `usage` with the others of its address.
    pub(super) fn set_address_usage(&self, usage: Arc<Usage>) {
        // It is admitted once.
        let _ = self.address_usage.set(usage);
    }

    /// Counts one more in use by the server, and by the address if there is one. Returns for each whether that is within its
    /// maximum.
    pub(super) fn add_use(
        &self,
        counter: fn(&Usage) -> &Counter,
        (in_all, of_address): (usize, usize),
    ) -> (bool, bool) {
        let address = self.address_usage.get();
        (
            counter(&self.server.usage).add(in_all),
            address.is_none_or(|usage| counter(usage).add(of_address)),
        )
    }

    /// Takes back what [`add_use`](Self::add_use) has counted, whatever that has returned.
    pub(super) fn subtract_use(&self, counter: fn(&Usage) -> &Counter) {
        counter(&self.server.usage).subtract();
        if let Some(usage) = self.address_usage.get() {
            counter(usage).subtract();
        }
    }

    /// Gives the connection's task a command. A command never replaces a later one.
    pub(super) fn command(&self, command: Command) {
        self.command.fetch_max(command as u8, Relaxed);
        self.commanded.notify_one();
    }

    /// The current command.
    pub(super) fn commanded(&self) -> Command {
        match self.command.load(Relaxed) {
            0 => Command::Run,
            1 => Command::Drain,
            _ => Command::End,
        }
    }

    /// Resolves at the next command, or immediately if there was one since the last call.
    pub(super) async fn next_command(&self) {
        self.commanded.notified().await;
    }

    /// Reports that a limit has acted on this connection.
    pub(super) fn limit(&self, reason: LimitReason) {
        self.server.report.limit(reason, self.remote);
    }
}

/// Counts a request as in progress until it is dropped.
pub(super) struct RequestGuard {
    connection: Arc<ConnectionState>,
}

impl RequestGuard {
    /// Counts a request, and returns the limit that is exceeded by it.
    pub(super) fn new(connection: Arc<ConnectionState>) -> (Self, Option<LimitReason>) {
        connection.activity.request_began();
        let limits = &connection.server.limits;
        let maxima = (limits.max_requests, limits.max_requests_per_address);
        let exceeded = match connection.add_use(|usage| &usage.requests, maxima) {
            (_, false) => Some(LimitReason::RequestsPerAddress),
            (false, true) => Some(LimitReason::Requests),
            (true, true) => None,
        };
        (Self { connection }, exceeded)
    }

    pub(super) fn connection(&self) -> &Arc<ConnectionState> {
        &self.connection
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.connection.subtract_use(|usage| &usage.requests);
        self.connection.activity.request_ended();
    }
}
