//! The half that reads, borrowed.

use super::cell::{Side, SplitCell};
use crate::monitor::Monitor;
use crate::stream::monitored_stream::MonitoredStream;
use crate::stream::socket::DirectIo;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

/// The borrowed half of a stream that reads: see [`MonitoredStream::split`].
///
/// ```
/// use hangup::MonitoredListener;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let (mut stream, _) = listener.accept().await?;
///
/// client.write_all(b"stop").await?;
/// let (mut reader, mut writer) = stream.split();
/// // A task that sends until the client says stop.
/// let mut command = [0; 4];
/// tokio::select! {
///     read = reader.read_exact(&mut command) => assert_eq!(read?, 4),
///     () = async { while writer.write_all(b"event").await.is_ok() {} } => unreachable!("it is there"),
/// }
/// assert_eq!(&command, b"stop");
/// assert!(!stream.is_closed()); // whole again
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadHalf<'a, S> {
    cell: Arc<SplitCell<&'a mut MonitoredStream<S>>>,
}

impl<'a, S> ReadHalf<'a, S> {
    pub(super) fn new(cell: Arc<SplitCell<&'a mut MonitoredStream<S>>>) -> Self {
        Self { cell }
    }

    /// A handle on the whole stream.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (reader, _writer) = stream.split();
    /// let monitor = reader.monitor();
    /// drop(stream);
    /// assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
    /// # }
    /// ```
    pub fn monitor(&self) -> Monitor {
        self.cell.monitor.clone()
    }

    /// As [`MonitoredStream::try_read`]. It also fails with "would block" while the other half is in the middle of
    /// a call.
    ///
    /// # Errors
    ///
    /// Those of [`MonitoredStream::try_read`].
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncWriteExt;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, mut peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// let (mut reader, _writer) = stream.split();
    /// peer.write_all(b"hello").await?;
    /// reader.readable().await?;
    /// assert_eq!(reader.try_read(&mut [0; 64])?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize>
    where
        S: DirectIo,
    {
        self.cell
            .try_with(|stream: &mut MonitoredStream<S>| stream.try_read(buf))
    }

    /// As [`MonitoredStream::readable`], for the one task that reads.
    ///
    /// # Errors
    ///
    /// Those of [`MonitoredStream::readable`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it reads nothing.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// let (mut reader, _writer) = stream.split();
    /// drop(peer);
    /// reader.readable().await?;
    /// assert_eq!(reader.try_read(&mut [0; 64])?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn readable(&mut self) -> io::Result<()>
    where
        S: DirectIo,
    {
        let poll = |stream: &mut MonitoredStream<S>, cx: &mut Context<'_>| stream.poll_readable(cx);
        poll_fn(|cx| self.cell.poll(Side::Read, cx, poll)).await
    }
}

impl ReadHalf<'_, TcpStream> {
    /// As [`MonitoredStream::peek`].
    ///
    /// # Errors
    ///
    /// Those of a read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it takes nothing.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut stream, _) = listener.accept().await?;
    /// let (mut reader, _writer) = stream.split();
    /// client.write_all(b"GET").await?;
    /// assert_eq!(reader.peek(&mut [0; 64]).await?, 3);
    /// assert_eq!(reader.monitor().transfer().read, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        poll_fn(|cx| {
            let poll = |stream: &mut MonitoredStream<TcpStream>, cx: &mut Context<'_>| {
                stream.poll_peek(cx, &mut buf)
            };
            self.cell.poll(Side::Read, cx, poll)
        })
        .await
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadHalf<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cell
            .poll(Side::Read, cx, |stream: &mut MonitoredStream<S>, cx| {
                Pin::new(stream).poll_read(cx, buf)
            })
    }
}
