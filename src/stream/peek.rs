//! Looking at received data without consuming it.

use super::monitored_stream::MonitoredStream;
use super::poll::Input;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

impl MonitoredStream<TcpStream> {
    /// Waits for data, and copies it into `buf` without consuming it. The next read returns it again. The bytes are not
    /// counted.
    ///
    /// `Ok(0)` means EOF, or that `buf` is empty. Data in the side buffer of
    /// [`read_ahead`](crate::MonitorConfig::read_ahead) comes first.
    ///
    /// # Errors
    ///
    /// Those of a read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it consumes no input. An error is told once: after a peek that fails, the next read finds the end.
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
    /// client.write_all(b"\x16").await?;
    /// let mut first = [0];
    /// assert_eq!(stream.peek(&mut first).await?, 1);
    /// assert_eq!(first, *b"\x16"); // a TLS handshake, which is still to be read
    /// assert_eq!(stream.read_u8().await?, 0x16);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        poll_fn(|cx| self.poll_peek(cx, &mut buf)).await
    }

    /// As [`peek`](Self::peek), for a hand-written future.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](Self::peek).
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use std::future::poll_fn;
    /// use tokio::io::{AsyncWriteExt, ReadBuf};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut stream, _) = listener.accept().await?;
    /// client.write_all(b"GET").await?;
    /// let (mut bytes, mut seen) = ([0; 1], 0);
    /// let mut buffer = ReadBuf::new(&mut bytes);
    /// seen += poll_fn(|cx| stream.poll_peek(cx, &mut buffer)).await?;
    /// assert_eq!((seen, buffer.filled()), (1, &b"G"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buf.filled().len();
        let polled = Pin::new(self).poll_read_by(cx, buf, Input::Seen, |io, cx, buf| {
            io.poll_peek(cx, buf).map_ok(|_| ())
        });
        polled.map_ok(|()| buf.filled().len() - before)
    }
}
