//! Sizes of heads and buffers.

use super::Server;

/// # Sizes
impl<L, S> Server<L, S> {
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

    /// How many fields the head of a request may have. Default: 100. A head with more is answered with status 431.
    ///
    /// On HTTP/2 a field may take a single byte on the wire, and a client may send each of its cookies as a field (RFC 9113,
    /// section 8.2.3): up to this number of cookies is allowed beside the other fields.
    ///
    /// A number above 24 000 counts as 24 000, because a [`HeaderMap`](http::HeaderMap) holds few more. hyper reserves
    /// memory for as many fields for each head, so choose no larger number than clients need.
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

    /// How much hyper buffers for one connection in each direction, in bytes, at least 8 KiB, and on HTTP/2 at most 4 GiB.
    /// Default: 64 KiB.
    ///
    /// A client that does not read costs this much, beside the kernel's send buffer. The last chunk of a body may go
    /// beyond it: a body should yield chunks of at most this size. hyper's own default is 400 KiB. On HTTP/1.1 the buffer
    /// is never smaller than [`max_head_size`](Self::max_head_size). On HTTP/2 one more of this size, and of 64 KiB at most, collects
    /// the small responses of many streams, which leave together.
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
}
