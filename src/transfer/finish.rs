//! The orderly end of a stream: all bytes arrive before it closes.

use crate::errors::CloseReason;
use crate::policy::timer;
use crate::state::Transfer;
use crate::stream::MonitoredStream;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is discarded at a time.
pub(super) const BUFFER: usize = 16 << 10;

impl<S> MonitoredStream<S> {
    /// Waits until the peer has acknowledged all accepted bytes: [`Monitor::wait_acknowledged`](crate::Monitor::wait_acknowledged).
    ///
    /// # Errors
    ///
    /// Those of [`Monitor::wait_acknowledged`](crate::Monitor::wait_acknowledged).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::MonitoredListener;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut stream, _) = listener.accept().await?;
    /// stream.write_all(b"hello").await?;
    /// stream.wait_acknowledged().await?;
    /// assert_eq!(stream.monitor().transfer().acknowledged, Some(5));
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub async fn wait_acknowledged(&self) -> io::Result<()> {
        self.monitor().wait_acknowledged().await
    }
}

impl<S: AsyncWrite + Unpin> MonitoredStream<S> {
    /// Ends the stream in an orderly way: shuts our sending direction down, and waits until the peer has acknowledged
    /// everything or has left, but no longer than `within`.
    ///
    /// A stream that is dropped right after its last write may lose bytes that are still on their way: the peer may reset
    /// the connection, or our kernel may do so because of unread input. This method waits until they have arrived.
    ///
    /// If the acknowledged bytes are not known, above TLS for instance, it waits for the peer's FIN in answer to ours. On an
    /// [unwatched](MonitoredStream::unwatched) stream only a read sees that FIN: use
    /// [`finish_and_discard`](Self::finish_and_discard) there.
    ///
    /// # Which end to choose
    ///
    /// | the stream ends | call | the peer reads |
    /// |---|---|---|
    /// | after a complete response, and every byte matters | `finish` | everything, then EOF |
    /// | after a refusal, while the peer is still sending | [`finish_and_discard`](Self::finish_and_discard) | everything, then EOF |
    /// | in the middle, and the peer must notice that something is missing | [`reset_after_delivery`](Self::reset_after_delivery) | everything that was written, then a reset |
    /// | at once, whatever is on its way | [`abort`](MonitoredStream::abort), then drop | perhaps a part, then a reset |
    /// | and the protocol itself confirms what arrived | drop | everything then EOF, or a reset if input was unread |
    ///
    /// # Errors
    ///
    /// * [`TimedOut`](ErrorKind::TimedOut): the peer did not acknowledge everything in time. Our direction is shut down,
    ///   and the stream may still be open. [`transfer`](crate::Monitor::transfer) reports how much is missing;
    /// * the [`CloseReason`], if the peer left before it acknowledged everything;
    /// * an error of `poll_shutdown` of the wrapped stream;
    /// * [`NotConnected`](ErrorKind::NotConnected): it was not called in a runtime;
    /// * [`Unsupported`](ErrorKind::Unsupported): the runtime was built without a timer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it may be dropped and called again. A completed shutdown stays completed.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let client = tokio::spawn(async move {
    ///     let mut received = String::new();
    ///     let mut client = tokio::net::TcpStream::connect(address).await?;
    ///     client.read_to_string(&mut received).await?;
    ///     std::io::Result::Ok(received)
    /// });
    /// let (mut stream, _) = listener.accept().await?;
    /// stream.write_all(b"goodbye").await?;
    /// let sent = stream.finish(Duration::from_secs(5)).await?;
    /// assert_eq!(sent.accepted, 7);
    /// assert_eq!(client.await??, "goodbye");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn finish(&mut self, within: Duration) -> io::Result<Transfer> {
        let _timer = timer::runtime("`finish`")?;
        let monitor = self.monitor();
        let ended = tokio::time::timeout(within, async {
            shut_down(self).await?;
            match monitor.wait_acknowledged().await {
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    match monitor.closed().await {
                        CloseReason::Finished => Ok(()),
                        reason => Err(reason.into()),
                    }
                }
                drained => drained,
            }
        });
        match ended.await {
            Ok(ended) => ended.map(|()| monitor.transfer()),
            Err(_) => Err(unacknowledged(within)),
        }
    }

    /// Resets the connection when everything that was written has arrived, or after `within`.
    ///
    /// Use it to pass a reset on: in a relay whose other side was reset, or in a server that has sent part of an answer
    /// and cannot send the rest. The peer gets every byte, and then learns that the answer is incomplete.
    /// [`abort`](MonitoredStream::abort) alone discards the bytes that are still on their way, which may be some
    /// megabytes.
    ///
    /// It flushes the stream, waits until the kernel holds nothing more for the peer (`SIOCOUTQ`, tcp(7); it asks every
    /// 1 to 50 ms), and then aborts the stream. On systems other than Linux, and for streams without a socket, the system
    /// does not report what it holds, so it aborts right after the flush.
    ///
    /// On Linux the peer can still read acknowledged bytes after the reset. Other systems may discard them if the reset
    /// arrives before the peer's program has read them.
    ///
    /// # Errors
    ///
    /// In the first three cases the stream is closed and reset all the same.
    /// * [`TimedOut`](ErrorKind::TimedOut): the peer did not acknowledge everything in time;
    /// * the [`CloseReason`], if the stream closed before everything had arrived;
    /// * an error of `poll_flush` of the wrapped stream;
    /// * [`Unsupported`](ErrorKind::Unsupported): the runtime was built without a timer;
    /// * [`NotConnected`](ErrorKind::NotConnected): it was not called in a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, the stream is not reset, and can be used further.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredListener};
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut stream, _) = listener.accept().await?;
    /// stream.write_all(b"a part").await?;
    /// stream.reset_after_delivery(Duration::from_secs(5)).await?;
    /// assert_eq!(stream.close_reason(), Some(CloseReason::Aborted));
    ///
    /// let mut received = Vec::new();
    /// let error = client.read_to_end(&mut received).await.unwrap_err();
    /// assert_eq!(received, b"a part");
    /// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn reset_after_delivery(&mut self, within: Duration) -> io::Result<Transfer> {
        let _timer = timer::runtime("`reset_after_delivery`")?;
        let monitor = self.monitor();
        let delivered = tokio::time::timeout(within, async {
            poll_fn(|cx| Pin::new(&mut *self).poll_flush(cx)).await?;
            monitor.wait_delivered().await
        });
        let delivered = delivered.await;
        monitor.abort();
        match delivered {
            Ok(delivered) => delivered.map(|()| monitor.transfer()),
            Err(_) => Err(unacknowledged(within)),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> MonitoredStream<S> {
    /// Ends the stream so that the answer reaches a peer that is still sending. It shuts our sending direction down, and
    /// then reads and discards input until the peer ends its direction too.
    ///
    /// Use it in a server that refuses an upload, with an HTTP 413 for example. If a stream is dropped with unread input,
    /// or input arrives after the drop, the system resets the connection (RFC 9293, section 3.10.4; RFC 2525, section
    /// 2.17). The reset discards the answer before the client has read it. nginx's `lingering_close` does the same as
    /// this method.
    ///
    /// It reads at most `bytes`, and takes at most `within`. Drop the stream afterwards.
    ///
    /// # Errors
    ///
    /// In each of these cases the answer may be lost.
    /// * [`TimedOut`](ErrorKind::TimedOut): the peer did not end its direction in time;
    /// * [`QuotaExceeded`](ErrorKind::QuotaExceeded): the peer sent more than `bytes`;
    /// * an error of a read or of `poll_shutdown`, such as the peer's reset;
    /// * [`Unsupported`](ErrorKind::Unsupported): the runtime was built without a timer;
    /// * [`NotConnected`](ErrorKind::NotConnected): it was not called in a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it may be dropped and called again. A completed shutdown stays completed, and input that was read
    /// stays discarded. The count of `bytes` starts again.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let client = tokio::spawn(async move {
    ///     let mut client = tokio::net::TcpStream::connect(address).await?;
    ///     client.write_all(&[0; 1 << 20]).await?;
    ///     let mut answer = String::new();
    ///     client.read_to_string(&mut answer).await?;
    ///     std::io::Result::Ok(answer)
    /// });
    ///
    /// let (mut stream, _) = listener.accept().await?;
    /// stream.write_all(b"413").await?;
    /// stream.finish_and_discard(Duration::from_secs(5), 1 << 24).await?;
    /// drop(stream);
    /// assert_eq!(client.await??, "413");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn finish_and_discard(
        &mut self,
        within: Duration,
        bytes: u64,
    ) -> io::Result<Transfer> {
        let _timer = timer::runtime("`finish_and_discard`")?;
        let monitor = self.monitor();
        let ended = tokio::time::timeout(within, async {
            shut_down(self).await?;
            let mut buffer = vec![0; BUFFER];
            let mut discarded = 0;
            loop {
                let read = poll_fn(|cx| poll_discard(self, cx, &mut buffer)).await?;
                discarded += read;
                if read == 0 {
                    return Ok(());
                }
                if discarded > bytes {
                    return Err(io::Error::new(
                        ErrorKind::QuotaExceeded,
                        format!("hangup: the peer sent more than {bytes} bytes after our shutdown"),
                    ));
                }
            }
        });
        match ended.await {
            Ok(ended) => ended.map(|()| monitor.transfer()),
            Err(_) => Err(io::Error::new(
                ErrorKind::TimedOut,
                format!("hangup: the peer has not ended its direction within {within:?}"),
            )),
        }
    }
}

/// Reads input that nobody needs into `buffer`. Returns how much that was: 0 is the end.
pub(super) fn poll_discard<S: AsyncRead + Unpin>(
    stream: &mut MonitoredStream<S>,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<u64>> {
    let mut room = ReadBuf::new(buffer);
    ready!(Pin::new(stream).poll_read(cx, &mut room))?;
    Poll::Ready(Ok(room.filled().len() as u64))
}

/// Shuts our direction down, unless that is done: a copy has passed the peer's FIN on, for example.
pub(super) async fn shut_down<S: AsyncWrite + Unpin>(
    stream: &mut MonitoredStream<S>,
) -> io::Result<()> {
    if stream.is_shut_down() {
        return Ok(());
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await
}

pub(super) fn unacknowledged(within: Duration) -> io::Error {
    io::Error::new(
        ErrorKind::TimedOut,
        format!("hangup: the peer has not acknowledged everything within {within:?}"),
    )
}
