//! Waiting until the peer has acknowledged what it was sent.

use crate::errors::CloseReason;
use crate::policy::timer;
use crate::state::Transfer;
use crate::stream::MonitoredStream;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is discarded at a time.
const BUFFER: usize = 16 << 10;

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
    /// If the acknowledged bytes are not known, above TLS for instance, it waits for the peer's FIN in answer to ours.
    ///
    /// # Which end to choose
    ///
    /// | the stream ends | call |
    /// |---|---|
    /// | after a complete response, and every byte matters | `finish` |
    /// | after a refusal, while the peer is still sending | [`finish_and_discard`](Self::finish_and_discard) |
    /// | in the middle, and the peer has to notice that something is missing | [`reset_after_delivery`](Self::reset_after_delivery) |
    /// | at once, whatever is on its way | [`abort`](MonitoredStream::abort), then drop |
    /// | and the protocol itself confirms what arrived | drop |
    ///
    /// # Errors
    ///
    /// * [`TimedOut`](ErrorKind::TimedOut): the peer did not acknowledge everything within the time. Our direction is shut
    ///   down, and the stream is open if the peer is there. [`transfer`](crate::Monitor::transfer) says how much is
    ///   missing;
    /// * the [`CloseReason`], if the peer left and did not acknowledge everything;
    /// * those of `poll_shutdown` of the wrapped stream;
    /// * [`Unsupported`](ErrorKind::Unsupported): the runtime was built without a timer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it may be dropped and called again. A shutdown that is done stays done.
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
            poll_fn(|cx| Pin::new(&mut *self).poll_shutdown(cx)).await?;
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

    /// Resets the connection after everything that was written has arrived, or after `within`.
    ///
    /// Use it to pass a reset on: in a relay whose other side was reset, or in a server that has sent a part of an answer
    /// and cannot send the rest. The peer gets every byte, and then learns that more were to come.
    /// [`abort`](MonitoredStream::abort) alone discards the bytes that are still on their way, up to some megabytes of what
    /// the writes had accepted.
    ///
    /// It flushes the stream, waits until the kernel holds nothing more for the peer (`SIOCOUTQ`, tcp(7); it asks every
    /// 1 to 50 ms), and then aborts the stream. On systems other than Linux and for streams without a socket, where the
    /// system does not say what it holds, it aborts right after the flush.
    ///
    /// Acknowledged bytes stay readable for a peer on Linux. Other systems may throw them away when the reset
    /// arrives before the peer's program has read them.
    ///
    /// # Errors
    ///
    /// The stream is closed and reset in each case.
    /// * [`TimedOut`](ErrorKind::TimedOut): the peer has not acknowledged everything within the time;
    /// * the [`CloseReason`], if the stream was closed before everything had arrived;
    /// * those of `poll_flush` of the wrapped stream;
    /// * [`Unsupported`](ErrorKind::Unsupported): the runtime was built without a timer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stream is then as it was, and is not reset.
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
    /// Ends the stream so that a peer which is still sending gets the answer: shuts our sending direction
    /// down, and reads and discards what comes, until the peer ends its direction too.
    ///
    /// For a server that refuses an upload, with an HTTP 413 for example. A stream that is dropped with unread
    /// input, or that gets more of it, resets the connection (RFC 9293, section 3.10.4; RFC 2525, section
    /// 2.17), and the reset throws the answer away before the client has read it. nginx's `lingering_close`
    /// does the same.
    ///
    /// It reads at most `bytes`, and takes at most `within`. Drop the stream afterwards.
    ///
    /// # Errors
    ///
    /// The answer may be lost in each of these cases.
    /// * [`TimedOut`](ErrorKind::TimedOut): the peer has not ended its direction within the time;
    /// * [`QuotaExceeded`](ErrorKind::QuotaExceeded): the peer has sent more than `bytes`;
    /// * those of a read and of `poll_shutdown`, such as the peer's reset;
    /// * [`Unsupported`](ErrorKind::Unsupported): the runtime was built without a timer.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped and called again: a shutdown that is done stays done, and what was read is discarded.
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
            poll_fn(|cx| Pin::new(&mut *self).poll_shutdown(cx)).await?;
            let mut buffer = vec![0; BUFFER];
            let mut discarded = 0;
            loop {
                let mut room = ReadBuf::new(&mut buffer);
                poll_fn(|cx| Pin::new(&mut *self).poll_read(cx, &mut room)).await?;
                discarded += room.filled().len() as u64;
                if room.filled().is_empty() {
                    return Ok(());
                }
                if discarded > bytes {
                    return Err(io::Error::new(
                        ErrorKind::QuotaExceeded,
                        format!("hangup: the peer has sent more than {bytes} bytes after the end"),
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

fn unacknowledged(within: Duration) -> io::Error {
    io::Error::new(
        ErrorKind::TimedOut,
        format!("hangup: the peer has not acknowledged everything within {within:?}"),
    )
}
