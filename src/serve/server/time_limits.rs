//! Times and rates.

use super::Server;
use crate::policy::StallPolicy;
use std::time::Duration;

/// # Times and rates
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
    /// On HTTP/2 the end of a connection cuts no response, and 2 MiB more are discarded at most.
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
    /// A slower body fails with an error of the kind [`TimedOut`](std::io::ErrorKind::TimedOut), and the service decides how to
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
    /// connection ends too. The requests that are in progress on a connection share the rate: of ten streams each has to be read
    /// at a tenth of it, and what it takes is seen in parts of 16 KiB. While the socket is full, and for a
    /// window after it, no stream is to blame, and only the rate of the connection counts.
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
}
