//! The half that writes, for a task of its own.

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

/// The half of a stream that writes: see [`MonitoredStream::into_split`].
///
/// A task that only writes learns of a disconnect even while it waits for its next message, which is the case that a bare
/// socket cannot detect:
///
/// ```
/// use hangup::{CloseReason, MonitoredListener, OwnedWriteHalf};
/// use tokio::io::AsyncWriteExt;
/// use tokio::net::TcpStream;
/// use tokio::sync::mpsc;
///
/// /// Writes messages until the sender is dropped, or the peer leaves. Returns the reason of the peer.
/// async fn write_all(
///     mut writer: OwnedWriteHalf<TcpStream>,
///     mut messages: mpsc::Receiver<&'static str>,
/// ) -> Option<CloseReason> {
///     let mut closed = writer.monitor().closed();
///     loop {
///         tokio::select! {
///             reason = &mut closed => return Some(reason),
///             message = messages.recv() => {
///                 if let Err(error) = writer.write_all(message?.as_bytes()).await {
///                     return Some(CloseReason::from(&error));
///                 }
///             }
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (stream, _) = listener.accept().await?;
/// let (_reader, writer) = stream.into_split();
/// let (_sender, messages) = mpsc::channel(10); // no message ever comes
/// let writing = tokio::spawn(write_all(writer, messages));
/// drop(client);
/// assert_eq!(writing.await?, Some(CloseReason::PeerClosed));
/// # Ok(())
/// # }
/// ```
///
/// Dropping it shuts down the sending direction. If the shutdown has to wait, for example for TLS with a full send buffer,
/// the reads of the other half, pending ones too, continue it. To be sure that it has completed, call
/// [`shutdown`](tokio::io::AsyncWriteExt::shutdown) before.
#[derive(Debug)]
pub struct OwnedWriteHalf<S> {
    cell: Arc<SplitCell<MonitoredStream<S>>>,
    shuts_down_on_drop: bool,
}

impl<S> OwnedWriteHalf<S> {
    pub(super) fn new(cell: Arc<SplitCell<MonitoredStream<S>>>) -> Self {
        Self {
            cell,
            shuts_down_on_drop: true,
        }
    }

    pub(super) fn cell(&self) -> &Arc<SplitCell<MonitoredStream<S>>> {
        &self.cell
    }

    /// A handle on the whole stream.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (reader, writer) = MonitoredStream::unwatched(tokio::io::duplex(64).0).into_split();
    /// reader.monitor().abort();
    /// assert!(writer.monitor().is_closed());
    /// # }
    /// ```
    pub fn monitor(&self) -> Monitor {
        self.cell.monitor.clone()
    }

    /// Drops this half without shutting down the sending direction, which then ends with the other half.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncReadExt;
    /// use tokio_test::{assert_pending, task};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (io, mut remote) = tokio::io::duplex(64);
    /// let (reader, writer) = MonitoredStream::unwatched(io).into_split();
    /// writer.forget();
    /// assert_pending!(task::spawn(remote.read_u8()).poll());
    /// drop(reader);
    /// assert!(remote.read_u8().await.is_err());
    /// # }
    /// ```
    pub fn forget(mut self) {
        self.shuts_down_on_drop = false;
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
    /// let (_reader, mut writer) = MonitoredStream::new(ours)?.into_split();
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
    /// let (_reader, mut writer) = MonitoredStream::new(ours)?.into_split();
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
    /// let (_reader, mut writer) = MonitoredStream::new(ours)?.into_split();
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

impl<S: AsyncWrite + Unpin> AsyncWrite for OwnedWriteHalf<S> {
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

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self
            .cell
            .poll(Side::Write, cx, |stream: &mut MonitoredStream<S>, cx| {
                Pin::new(stream).poll_shutdown(cx)
            });
        if polled.is_ready() {
            self.shuts_down_on_drop = false;
        }
        polled
    }
}

#[cfg(any(unix, windows))]
impl<S: AsyncWrite + Unpin> PollRefused for OwnedWriteHalf<S> {
    fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let poll = |stream: &mut MonitoredStream<S>, cx: &mut Context<'_>| stream.poll_refused(cx);
        self.cell.poll(Side::Write, cx, poll)
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
impl<S: DirectIo> SocketWrite for OwnedWriteHalf<S> {
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

impl<S> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.shuts_down_on_drop {
            self.cell.shut_down();
        }
    }
}
