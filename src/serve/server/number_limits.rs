//! Numbers of connections, requests and frames.

use super::Server;

/// # Numbers of connections, requests and frames
impl<L, S> Server<L, S> {
    /// How many connections may be open. Default: half of the process's limit of descriptors (`RLIMIT_NOFILE`,
    /// getrlimit(2)) less 16, at least 8 and at most 10 000. Half, because a connection may have a file open.
    ///
    /// At the limit the oldest connection without a request is closed to make room for a new one. If all have requests,
    /// the new one is closed.
    ///
    /// What is left of the descriptors, and at least half of them, is for the files of [`ServeFolder`](crate::serve::ServeFolder) and
    /// [`file`](crate::serve::file()): a connection of HTTP/2 may have many open. An address may have half of that, unless it may
    /// have all connections. One more is answered with 503 ([`OpenFiles`](crate::serve::LimitReason::OpenFiles)).
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

    /// How many requests one address may have under way at once, on all of its connections together. Default: 5000, half of
    /// the default of [`max_requests`](Self::max_requests).
    ///
    /// Without it a client with many HTTP/2 connections could use [`max_requests`](Self::max_requests) up, and everybody else
    /// would be refused. One more is answered with status 503 and `Retry-After: 1`, and the service does not see it. What
    /// counts as one address is as for [`max_connections_per_address`](Self::max_connections_per_address). Behind a proxy set
    /// it to the number of `max_requests`.
    ///
    /// ```
    /// # use axum::Router;
    /// # use axum::routing::get;
    /// # use hangup::MonitoredListener;
    /// # use hangup::serve::{LimitReason, serve};
    /// # use tokio::io::AsyncWriteExt;
    /// # use tokio::net::TcpStream;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # let (report, mut events) = tokio::sync::mpsc::unbounded_channel();
    /// let forever = get(std::future::pending::<()>);
    /// let server = serve(listener, Router::new().route("/", forever))
    ///     .max_requests_per_address(1)
    ///     .on_limit(move |event| drop(report.send(event.reason)));
    /// # tokio::spawn(server.into_future());
    /// let mut first = TcpStream::connect(address).await?;
    /// first.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    /// let mut second = TcpStream::connect(address).await?;
    /// second.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    /// assert_eq!(events.recv().await, Some(LimitReason::RequestsPerAddress));
    /// # drop((first, second));
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_requests_per_address(mut self, max: usize) -> Self {
        self.limits.max_requests_per_address = max;
        self
    }

    /// How many requests may be under way at once on one HTTP/2 connection (`SETTINGS_MAX_CONCURRENT_STREAMS`).
    /// Default: 100, the least that RFC 9113 recommends (section 6.5.2). On HTTP/1.1 it is always one.
    ///
    /// The client learns the number and waits on its own. A request beyond it is refused with `REFUSED_STREAM`, which tells
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
}
