//! The summary that a server returns at its end.

use super::LimitReason;
use std::fmt;

/// How the connections that were open at the shutdown ended: by themselves, or aborted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drained {
    pub(super) finished: usize,
    pub(super) aborted: usize,
}

/// What a [`Server`](super::Server) did, and how its shutdown went.
///
/// `Display` writes it in one line, for the last line of a log:
/// `12 connections served; at the shutdown 2 finished, 1 aborted; head_timeout: 3`.
///
/// ```
/// use axum::Router;
/// use hangup::MonitoredListener;
/// use hangup::serve::{LimitReason, serve};
/// use std::time::Duration;
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let server = serve(listener, Router::new())
///     .head_timeout(Duration::from_millis(50))
///     .graceful_shutdown(async { drop(stopped.await) });
/// let server = tokio::spawn(server.into_future());
///
/// // A client that sends nothing.
/// let mut client = tokio::net::TcpStream::connect(address).await?;
/// let _ = client.read_to_end(&mut Vec::new()).await;
/// stop.send(()).unwrap();
/// let summary = server.await??;
/// assert_eq!(summary.connections(), 1);
/// assert_eq!((summary.finished(), summary.aborted()), (0, 0)); // none was open at the shutdown
/// assert_eq!(summary.limits(), [(LimitReason::HeadTimeout, 1)]);
/// # Ok(())
/// # }
/// ```
///
/// What to change, if anything:
///
/// | the summary has | consider |
/// |---|---|
/// | `aborted` connections | a longer [`shutdown_timeout`](super::Server::shutdown_timeout), or responses that end when the shutdown begins |
/// | the limit `connections` | a higher [`max_connections`](super::Server::max_connections), and a higher limit of descriptors |
/// | the limit `request_body_rate` | a lower [rate](super::Server::request_body_rate), if clients upload over slow links |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    connections: u64,
    finished: usize,
    aborted: usize,
    limits: Vec<(LimitReason, u64)>,
}

impl Summary {
    /// `limits` has each limit that was reached, and how often.
    pub(super) fn new(connections: u64, drained: Drained, limits: Vec<(LimitReason, u64)>) -> Self {
        Self {
            connections,
            finished: drained.finished,
            aborted: drained.aborted,
            limits,
        }
    }

    /// How many connections the server accepted and did not refuse. A failed TLS handshake counts too.
    ///
    /// ```
    /// use axum::Router;
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    /// use tokio::io::AsyncReadExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let server = serve(listener, Router::new())
    ///     .max_connections_per_address(1)
    ///     .graceful_shutdown(async { drop(stopped.await) });
    /// let server = tokio::spawn(server.into_future());
    ///
    /// // The second connection takes the place of the first, which is idle. Both were accepted.
    /// let mut first = tokio::net::TcpStream::connect(address).await?;
    /// let second = tokio::net::TcpStream::connect(address).await?;
    /// let _ = first.read_to_end(&mut Vec::new()).await;
    /// stop.send(()).unwrap();
    /// assert_eq!(server.await??.connections(), 2);
    /// # drop(second);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// How many connections were open when the shutdown began, and ended by themselves within the time. Idle
    /// connections count here: the server closes them immediately.
    ///
    /// ```
    /// use axum::Router;
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let server = serve(listener, Router::new()).graceful_shutdown(async { drop(stopped.await) });
    /// let server = tokio::spawn(server.into_future());
    ///
    /// // One request, and then the connection is idle.
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    /// client.read_exact(&mut [0; 12]).await?; // the status line: the request has been served
    /// stop.send(()).unwrap();
    /// let summary = server.await??;
    /// assert_eq!((summary.finished(), summary.aborted()), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn finished(&self) -> usize {
        self.finished
    }

    /// How many connections were open when the shutdown began, and had to be aborted, because they did not end within
    /// [`shutdown_timeout`](super::Server::shutdown_timeout). Their clients saw a reset.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::routing::get;
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let (begin, mut begun) = tokio::sync::mpsc::channel::<()>(1);
    /// let endless = async move || {
    ///     begin.send(()).await.unwrap();
    ///     std::future::pending::<()>().await
    /// };
    /// let server = serve(listener, Router::new().route("/", get(endless)))
    ///     .shutdown_timeout(Duration::ZERO)
    ///     .graceful_shutdown(async move { drop(begun.recv().await) });
    /// let server = tokio::spawn(server.into_future());
    ///
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    /// let error = client.read_u8().await.unwrap_err();
    /// # #[cfg(target_os = "linux")]
    /// assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    /// assert_eq!(server.await??.aborted(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn aborted(&self) -> usize {
        self.aborted
    }

    /// How often each limit was applied, in the order of their names. Limits that were never applied are missing.
    ///
    /// ```
    /// use axum::Router;
    /// use hangup::MonitoredListener;
    /// use hangup::serve::{LimitReason, serve};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let server = serve(listener, Router::new())
    ///     .max_uri_length(10)
    ///     .graceful_shutdown(async { drop(stopped.await) });
    /// let server = tokio::spawn(server.into_future());
    ///
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// let request = "GET /longer/than/ten HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    /// client.write_all(request.as_bytes()).await?;
    /// let mut response = String::new();
    /// client.read_to_string(&mut response).await?;
    /// assert!(response.starts_with("HTTP/1.1 414"));
    /// stop.send(()).unwrap();
    /// assert_eq!(server.await??.limits(), [(LimitReason::UriLength, 1)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn limits(&self) -> &[(LimitReason, u64)] {
        &self.limits
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections served; at the shutdown {} finished, {} aborted",
            self.connections, self.finished, self.aborted
        )?;
        for (reason, count) in &self.limits {
            write!(f, "; {}: {count}", reason.name())?;
        }
        Ok(())
    }
}
