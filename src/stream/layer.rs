//! A protocol above a stream: both share one state.

use super::monitored_stream::MonitoredStream;
use crate::errors::CloseReason;
use crate::policy::ReadAhead;
use crate::state::{DetectedBy, Event};
use crate::watcher::{Registration, Socket};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pin_project! {
    /// The stream below a protocol: [`MonitoredStream::layer`] gives it to the protocol to read and write.
    ///
    /// It forwards every call. The monitors belong to the stream above, and the watcher watches this stream's socket for
    /// them. When the transport is dropped, the watcher releases the socket before it is closed. If the stream above
    /// still exists then, it closes with [`CloseReason::Dropped`].
    ///
    /// A protocol that only has a header may return the transport itself:
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredListener};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut balancer = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// balancer.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.9 50000 80\r\nGET").await?;
    ///
    /// let (stream, _) = listener.accept().await?;
    /// let mut header = String::new();
    /// let layered = stream.layer(async |mut transport| {
    ///     while !header.ends_with("\r\n") {
    ///         header.push(transport.read_u8().await?.into());
    ///     }
    ///     Ok(transport)
    /// });
    /// let mut stream = layered.await?;
    /// assert_eq!(header.split(' ').nth(2), Some("192.0.2.1")); // the client of the balancer
    ///
    /// let mut request = [0; 3];
    /// stream.read_exact(&mut request).await?;
    /// assert_eq!(&request, b"GET");
    /// drop(balancer);
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Transport<S> {
        // Before `io`, as in `MonitoredStream` (invariant 3).
        below: Below,
        // Input that was read ahead before there was a protocol above.
        ahead: Option<Box<ReadAhead<S>>>,
        // The bytes that the protocol above has read.
        received: u64,
        #[pin]
        io: S,
    }
}

/// Reports the drop of the stream below. A protocol may drop that stream before itself, and then nothing else reports
/// events of the socket.
struct Below {
    registration: Option<Registration>,
    shared: Arc<Socket>,
}

impl Drop for Below {
    fn drop(&mut self) {
        // The watcher goes first: what it has seen of the socket until now was caused by the peer.
        self.registration = None;
        // A set-up that fails drops this first, and reports its error after that.
        self.shared.observe(Event::Dropped, DetectedBy::Us);
    }
}

impl<S> MonitoredStream<S> {
    /// Puts a protocol above this stream. The new stream has the same state.
    ///
    /// `wrap` gets the stream below, and returns the stream above it, for example after a TLS handshake. The new stream
    /// keeps the monitors, futures, configuration and registration of this stream. While `wrap` runs, they report a peer
    /// that leaves. After it, they also report what the stream above detects.
    ///
    /// The byte counts continue with the reads and writes of the new stream. What `wrap` itself reads and writes does not
    /// count. The number of acknowledged bytes is unknown, because the socket carries other bytes than the new stream.
    ///
    /// A FIN is [delayed](crate::MonitorConfig::fin_delay) by 3 ms, unless the configuration says otherwise, so that the
    /// protocol above can say what it means.
    ///
    /// A FIN alone does not end `wrap` while it has unread input: a client that sends its header and a command, and leaves at once,
    /// is served. Input that `wrap` was given by its last read counts as unread until it reads again.
    ///
    /// `wrap` has no time limit: put a `tokio::time::timeout` around the call. If the future is dropped, so is the stream.
    ///
    /// # Errors
    ///
    /// * the error of `wrap`: the stream has closed because of it;
    /// * an error that carries the [`CloseReason`], if the stream has closed for another reason meanwhile;
    /// * [`Unsupported`](io::ErrorKind::Unsupported), if the runtime has no timer for the delay of a FIN.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the future owns the stream.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::{AsyncBufReadExt, BufStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use tokio::io::AsyncWriteExt;
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # client.write_all(b"HELLO\n").await?;
    /// let stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// let monitor = stream.monitor();
    ///
    /// let stream = stream
    ///     .layer(|lower| async {
    ///         let mut lines = BufStream::new(lower);
    ///         let mut hello = String::new();
    ///         lines.read_line(&mut hello).await?;
    ///         assert_eq!(hello, "HELLO\n");
    ///         Ok(lines)
    ///     })
    ///     .await?;
    /// drop(client);
    /// assert_eq!(monitor.closed().await, CloseReason::PeerClosed);
    /// assert!(stream.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn layer<T, F>(
        self,
        wrap: impl FnOnce(Transport<S>) -> F,
    ) -> io::Result<MonitoredStream<T>>
    where
        T: AsyncRead,
        F: Future<Output = io::Result<T>>,
    {
        let (link, ahead, io) = self.into_parts();
        let limit = ahead.as_ref().map_or(0, |ahead| ahead.limit());
        // From here on the transport takes the socket out of the watcher before it closes it (invariant 3).
        let lower = Transport {
            below: Below {
                registration: link.registration.clone(),
                shared: link.shared.clone(),
            },
            ahead,
            received: 0,
            io,
        };
        let looks = match link.socket() {
            Some(socket) => socket.delay_fin_by_default()?,
            None => true,
        };
        let shared = link.shared.clone();
        shared.begin_layering();
        // `wrap` may drop the stream below before it returns its error: in its first poll, or even before.
        let mut first = Some(shared.enter());
        let mut wrapping = pin!(wrap(lower));
        // Dropped before the future that holds the stream below, so that the reason is known before the drop is reported.
        let link = link;
        let upper = poll_fn(|cx| {
            let call = first.take().unwrap_or_else(|| shared.enter());
            match wrapping.as_mut().poll(cx) {
                Poll::Ready(Ok(upper)) => return Poll::Ready(Ok(upper)),
                Poll::Ready(Err(error)) => {
                    let error = link.layering_failed(error);
                    // Another event may have been first, with another reason (invariant 1).
                    let told = link.shared.close_reason();
                    return Poll::Ready(Err(match told {
                        Some(told) if told != CloseReason::from(&error) => told.into(),
                        _ => error,
                    }));
                }
                Poll::Pending => drop(call),
            }
            // As a write, `wrap` goes on while it is about to read the peer's FIN.
            link.waits_to_write(cx)
                .map(|reason| Err(io::Error::from(reason)))
        })
        .await?;
        link.shared.end_layering();
        let ahead = Box::new(ReadAhead::new(limit, looks));
        Ok(MonitoredStream::from_parts(link, Some(ahead), upper))
    }
}

impl<S> Transport<S> {
    /// The stream below.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// let stream = stream.layer(async |transport| Ok(tokio::io::BufStream::new(transport))).await?;
    /// let tcp = stream.get_ref().get_ref().get_ref(); // of the stream, the buffer, the transport
    /// assert_eq!(tcp.peer_addr()?, client.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// The stream below. Reads and writes through it bypass the protocol above: use it only before the protocol begins, or
    /// for settings such as `set_nodelay`.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// let upper = stream.layer(async |mut transport| {
    ///     transport.get_mut().write_all(b"220 ready\r\n").await?; // before the protocol begins
    ///     Ok(BufStream::new(transport))
    /// });
    /// let stream = upper.await?;
    /// let mut greeting = [0; 11];
    /// client.read_exact(&mut greeting).await?;
    /// assert_eq!(&greeting, b"220 ready\r\n");
    /// # drop(stream);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.io
    }

    /// The bytes that the protocol above has read.
    #[cfg(all(feature = "serve", feature = "tls"))]
    pub(crate) fn received(&self) -> u64 {
        self.received
    }
}

impl<S: AsyncRead> AsyncRead for Transport<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let filled = buf.filled().len();
        if let Some(ahead) = this.ahead {
            if let Some(read) = ahead.read(buf) {
                *this.received += (buf.filled().len() - filled) as u64;
                this.below.shared.layer_read(true);
                return Poll::Ready(read);
            }
            if buf.remaining() > 0 {
                *this.ahead = None;
            }
        }
        let polled = this.io.poll_read(cx, buf);
        let read = buf.filled().len() - filled;
        *this.received += read as u64;
        this.below.shared.layer_read(read > 0);
        polled
    }
}

impl<S: AsyncWrite> AsyncWrite for Transport<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().io.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().io.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_shutdown(cx)
    }
}

#[cfg(unix)]
impl<S: std::os::fd::AsRawFd> std::os::fd::AsRawFd for Transport<S> {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.io.as_raw_fd()
    }
}

#[cfg(unix)]
impl<S: std::os::fd::AsFd> std::os::fd::AsFd for Transport<S> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.io.as_fd()
    }
}

#[cfg(windows)]
impl<S: std::os::windows::io::AsRawSocket> std::os::windows::io::AsRawSocket for Transport<S> {
    fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
        self.io.as_raw_socket()
    }
}

#[cfg(windows)]
impl<S: std::os::windows::io::AsSocket> std::os::windows::io::AsSocket for Transport<S> {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.io.as_socket()
    }
}

impl<S: fmt::Debug> fmt::Debug for Transport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("io", &self.io).finish()
    }
}
