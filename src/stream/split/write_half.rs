//! The half that writes, borrowed.

use super::cell::{Side, SplitCell};
#[cfg(any(unix, windows))]
use crate::errors::CloseReason;
use crate::monitor::Monitor;
use crate::stream::monitored_stream::MonitoredStream;
#[cfg(any(unix, windows))]
use crate::stream::poll::PollRefused;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
use crate::stream::poll::SocketWrite;
use crate::stream::socket::DirectIo;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// The borrowed half of a stream that writes: see [`MonitoredStream::split`].
///
/// Dropping it does not shut the sending direction down.
///
/// ```
/// use hangup::{CloseReason, MonitoredListener};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let (mut stream, _) = listener.accept().await?;
/// let monitor = stream.monitor();
///
/// let (mut reader, mut writer) = stream.split();
/// drop(client);
/// assert_eq!(monitor.closed().await, CloseReason::PeerClosed);
/// assert_eq!(reader.read(&mut [0]).await?, 0);
/// let error = writer.write_all(b"for nobody").await.unwrap_err();
/// assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::PeerClosed));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WriteHalf<'a, S> {
    cell: Arc<SplitCell<&'a mut MonitoredStream<S>>>,
}

impl<'a, S> WriteHalf<'a, S> {
    pub(super) fn new(cell: Arc<SplitCell<&'a mut MonitoredStream<S>>>) -> Self {
        Self { cell }
    }

    /// A handle on the whole stream.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (_reader, writer) = stream.split();
    /// let monitor = writer.monitor();
    /// monitor.abort();
    /// assert!(stream.is_closed());
    /// # }
    /// ```
    pub fn monitor(&self) -> Monitor {
        self.cell.monitor.clone()
    }

    /// As [`MonitoredStream::try_write`]. It also fails with "would block" while the other half is in the middle of
    /// a call.
    ///
    /// # Errors
    ///
    /// Those of [`MonitoredStream::try_write`].
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, _peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// let (_reader, mut writer) = stream.split();
    /// writer.writable().await?;
    /// assert_eq!(writer.try_write(b"hello")?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write(&mut self, buf: &[u8]) -> io::Result<usize>
    where
        S: DirectIo,
    {
        self.cell
            .try_with(|stream: &mut MonitoredStream<S>| stream.try_write(buf))
    }

    /// As [`try_write`](Self::try_write), from several buffers (writev(2)).
    ///
    /// # Errors
    ///
    /// Those of [`MonitoredStream::try_write`].
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use std::io::IoSlice;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, _peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// let (_reader, mut writer) = stream.split();
    /// writer.writable().await?;
    /// assert_eq!(writer.try_write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")])?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize>
    where
        S: DirectIo,
    {
        self.cell
            .try_with(|stream: &mut MonitoredStream<S>| stream.try_write_vectored(bufs))
    }

    /// As [`MonitoredStream::writable`], for the one task that writes.
    ///
    /// # Errors
    ///
    /// Those of [`MonitoredStream::writable`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it writes nothing.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// let (_reader, mut writer) = stream.split();
    /// while writer.try_write(&[0; 65536]).is_ok() {}
    /// drop(peer);
    /// writer.writable().await?; // and the write says why it is refused
    /// assert!(writer.try_write(b"!").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn writable(&mut self) -> io::Result<()>
    where
        S: DirectIo,
    {
        let poll = |stream: &mut MonitoredStream<S>, cx: &mut Context<'_>| stream.poll_writable(cx);
        poll_fn(|cx| self.cell.poll(Side::Write, cx, poll)).await
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteHalf<'_, S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cell
            .poll(Side::Write, cx, |stream: &mut MonitoredStream<S>, cx| {
                Pin::new(stream).poll_write(cx, buf)
            })
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.cell
            .poll(Side::Write, cx, |stream: &mut MonitoredStream<S>, cx| {
                Pin::new(stream).poll_write_vectored(cx, bufs)
            })
    }

    fn is_write_vectored(&self) -> bool {
        self.cell.is_write_vectored
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cell
            .poll(Side::Write, cx, |stream: &mut MonitoredStream<S>, cx| {
                Pin::new(stream).poll_flush(cx)
            })
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cell
            .poll(Side::Write, cx, |stream: &mut MonitoredStream<S>, cx| {
                Pin::new(stream).poll_shutdown(cx)
            })
    }
}

#[cfg(any(unix, windows))]
impl<S: AsyncWrite + Unpin> PollRefused for WriteHalf<'_, S> {
    fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let poll = |stream: &mut MonitoredStream<S>, cx: &mut Context<'_>| stream.poll_refused(cx);
        self.cell.poll(Side::Write, cx, poll)
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
impl<S: DirectIo> SocketWrite for WriteHalf<'_, S> {
    type Socket = S;

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        send: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.cell
            .poll(Side::Write, cx, |stream: &mut MonitoredStream<S>, cx| {
                stream.poll_write_with(cx, send)
            })
    }
}
