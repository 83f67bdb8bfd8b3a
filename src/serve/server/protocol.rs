//! The versions of HTTP, and TCP_NODELAY.

use super::Server;
use crate::serve::task::Versions;

/// # Protocol
impl<L, S> Server<L, S> {
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
    /// speaks. Otherwise it takes out `h2`, and leaves the others as they are. It turns [`h2c`](Self::h2c) off.
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
}
