//! A protocol above a stream, and one shared for both.

use super::monitored_stream::MonitoredStream;
use crate::errors::CloseReason;
use crate::policy::ReadAhead;
use crate::state::{Closed, DetectedBy, Event};
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
    /// The stream below a protocol: what [`MonitoredStream::layer`] gives to the protocol to read and
    /// write.
    ///
    /// It passes everything on. Its socket is watched for the stream above, which has the monitors; when
    /// it is dropped, the watcher lets go of the socket before it is closed, and the stream above closes with
    /// [`CloseReason::Dropped`] if it lives on.
    pub struct Transport<S> {
        // Before `io`, as in `MonitoredStream` (invariant 3).
        below: Below,
        // What was moved to the side before there was a protocol above.
        ahead: Option<Box<ReadAhead<S>>>,
        #[pin]
        io: S,
    }
}

/// The end of the stream below, which a protocol above may drop before itself: nothing more will be heard of
/// the socket.
struct Below {
    registration: Option<Registration>,
    shared: Arc<Socket>,
}

impl Drop for Below {
    fn drop(&mut self) {
        // The watcher lets go first: what it still saw of the socket is the peer's doing.
        self.registration = None;
        // A set-up that fails drops this first, and then says why.
        self.shared.observe(Event::Dropped, DetectedBy::Us);
    }
}

impl<S> MonitoredStream<S> {
    /// Puts a protocol above this stream: a new stream, with the same shared.
    ///
    /// `wrap` gets the stream below to read and write, and makes the stream above of it, by a TLS
    /// handshake for example. All that was asked of this stream goes on: its monitors, its futures, its
    /// place in the watcher, its configuration. While `wrap` runs, they tell of a peer that leaves; after
    /// it they tell what the stream above finds out too.
    ///
    /// Reads and writes of the new stream are counted where those of this one ended. What `wrap` itself
    /// reads and writes is not counted. How many bytes are acknowledged is not known of a stream whose
    /// socket carries other bytes than those.
    ///
    /// The meaning of a FIN is the upper stream's to tell: it is [held](crate::MonitorConfig::fin_delay) for
    /// 3 ms, if the configuration does not say otherwise.
    ///
    /// There is no limit on the time that `wrap` takes. When the future is dropped, the stream is.
    ///
    /// # Errors
    ///
    /// The error of `wrap`, after the stream has closed for it; or, if the stream has closed for another
    /// reason meanwhile, one that carries the [`CloseReason`]. As [`with_config`](Self::with_config) where
    /// the runtime has no timers.
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
        // From here on it takes the socket out of the watcher before it closes it (invariant 3).
        let lower = Transport {
            below: Below {
                registration: link.registration.clone(),
                shared: link.shared.clone(),
            },
            ahead,
            io,
        };
        let looks = match link.socket() {
            Some(socket) => socket.delay_fin_by_default()?,
            None => true,
        };
        let shared = link.shared.clone();
        // `wrap` may give the stream below up before it says why: in its first poll, or even before.
        let mut first = Some(shared.enter());
        let mut wrapping = pin!(wrap(lower));
        // Dropped before the future that has the stream below: a task that hears of a drop hears why first.
        let link = link;
        let mut closed = pin!(Closed::new(shared.clone()));
        let upper = poll_fn(|cx| {
            let call = first.take().unwrap_or_else(|| shared.enter());
            match wrapping.as_mut().poll(cx) {
                Poll::Ready(Ok(upper)) => return Poll::Ready(Ok(upper)),
                Poll::Ready(Err(error)) => {
                    let error = link.layering_failed(error);
                    // Somebody else may have been first, with another reason (invariant 1).
                    let told = link.shared.close_reason();
                    return Poll::Ready(Err(match told {
                        Some(told) if told != CloseReason::from(&error) => told.into(),
                        _ => error,
                    }));
                }
                Poll::Pending => drop(call),
            }
            closed
                .as_mut()
                .poll(cx)
                .map(|reason| Err(io::Error::from(reason)))
        })
        .await?;
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

    /// The stream below. What is read and written through it passes the protocol above by.
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
}

impl<S: AsyncRead> AsyncRead for Transport<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        if let Some(ahead) = this.ahead {
            if let Some(read) = ahead.read(buf) {
                return Poll::Ready(read);
            }
            if buf.remaining() > 0 {
                *this.ahead = None;
            }
        }
        this.io.poll_read(cx, buf)
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
