//! Passing the end of one stream of a copy on to the other one.

use super::copy_outcome::{CopyOutcome, CopySide};
use super::finish::{BUFFER, poll_discard, shut_down, unacknowledged};
use crate::errors::CloseReason;
use crate::policy::timer;
use crate::stream::MonitoredStream;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// How long a peer that has everything may send nothing, before it is taken for one that sends no more.
const QUIET: Duration = Duration::from_secs(1);

/// The most input that is discarded. A peer that looks for an answer while it sends stops within a round trip, and the two
/// kernels hold some 10 MB (the last numbers of `tcp_rmem` and `tcp_wmem`, tcp(7)).
const DISCARDED: u64 = 16 << 20;

impl CopyOutcome {
    /// Ends the stream that is still open in the way in which the other one ended, after its peer has everything that was
    /// written. `a` and `b` are the streams of the copy. If both are closed, it does nothing.
    ///
    /// | the other stream closed by | this one ends by | its peer sees |
    /// |---|---|---|
    /// | a FIN: [`PeerClosed`](CloseReason::PeerClosed), [`Finished`](CloseReason::Finished) | [`finish`](MonitoredStream::finish), while its input is read and discarded | all data, then a FIN |
    /// | a reset, or anything else | [`reset_after_delivery`](MonitoredStream::reset_after_delivery) | all data, then a reset |
    ///
    /// A relay that drops its streams instead sends a FIN after a reset too, and a message that was cut looks complete.
    /// Drop the streams afterwards. It takes at most `within`.
    ///
    /// # A peer that is still sending
    ///
    /// A server refuses an upload, and the client is still sending it. A stream that is dropped with unread input is reset,
    /// and the reset discards the answer before the client has read it. So after a FIN this reads on until the peer ends its
    /// direction, has everything and has sent nothing for a second, or has sent 16 MiB. A client that looks for the answer
    /// only when it has sent more than that needs [`finish_and_discard`](MonitoredStream::finish_and_discard).
    ///
    /// # Errors
    ///
    /// Those of [`finish`](MonitoredStream::finish) and [`reset_after_delivery`](MonitoredStream::reset_after_delivery): the
    /// peer may not have everything.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it may be dropped and called again.
    ///
    /// ```
    /// use hangup::{MonitoredStream, copy_bidirectional};
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::net::{TcpListener, TcpStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let backend = TcpListener::bind("127.0.0.1:0").await?;
    /// let proxy = TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = TcpStream::connect(proxy.local_addr()?).await?;
    /// let mut a = MonitoredStream::new(proxy.accept().await?.0)?;
    /// let mut b = MonitoredStream::new(TcpStream::connect(backend.local_addr()?).await?)?;
    /// let server = backend.accept().await?.0;
    ///
    /// socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO))?;
    /// drop(server); // a reset
    /// let copied = copy_bidirectional(&mut a, &mut b).await;
    /// copied.pass_on(&mut a, &mut b, Duration::from_secs(5)).await?;
    /// let error = client.read_u8().await.unwrap_err();
    /// # #[cfg(target_os = "linux")]
    /// assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn pass_on<A, B>(
        &self,
        a: &mut MonitoredStream<A>,
        b: &mut MonitoredStream<B>,
        within: Duration,
    ) -> io::Result<()>
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        end_after(&self.b, a, within).await?;
        end_after(&self.a, b, within).await
    }
}

/// Ends `stream`, if it is open, in the way in which `other` ended.
async fn end_after<S: AsyncRead + AsyncWrite + Unpin>(
    other: &CopySide,
    stream: &mut MonitoredStream<S>,
    within: Duration,
) -> io::Result<()> {
    match &other.reason {
        _ if stream.is_closed() => Ok(()),
        None => Ok(()),
        Some(CloseReason::PeerClosed | CloseReason::Finished) => {
            finish_and_read(stream, within).await
        }
        Some(_) => stream.reset_after_delivery(within).await.map(drop),
    }
}

/// As [`finish`](MonitoredStream::finish), and reads on: see [`CopyOutcome::pass_on`].
async fn finish_and_read<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut MonitoredStream<S>,
    within: Duration,
) -> io::Result<()> {
    let _timer = timer::runtime("`pass_on`")?;
    let monitor = stream.monitor();
    let mut has_all = false;
    let ended = timeout(within, async {
        shut_down(stream).await?;
        let mut acknowledged = pin!(monitor.wait_acknowledged());
        let mut input = Input::new(stream);
        let known = poll_fn(|cx| {
            input.discard(cx);
            acknowledged.as_mut().poll(cx)
        });
        match known.await {
            Ok(()) => {
                has_all = true;
                while let Ok(true) = timeout(QUIET, input.next()).await {}
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                while input.next().await {}
                match monitor.closed().await {
                    // A TLS client may answer with a FIN alone (RFC 8446, section 6.1).
                    CloseReason::Finished | CloseReason::Truncated => Ok(()),
                    reason => Err(reason.into()),
                }
            }
            Err(error) => Err(error),
        }
    });
    match ended.await {
        Ok(ended) => ended,
        Err(_) if has_all => Ok(()),
        Err(_) => Err(unacknowledged(within)),
    }
}

/// What the peer still sends.
struct Input<'a, S> {
    stream: &'a mut MonitoredStream<S>,
    buffer: Vec<u8>,
    discarded: u64,
    is_over: bool,
}

impl<'a, S: AsyncRead + Unpin> Input<'a, S> {
    fn new(stream: &'a mut MonitoredStream<S>) -> Self {
        Self {
            stream,
            buffer: vec![0; BUFFER],
            discarded: 0,
            is_over: false,
        }
    }

    /// Discards the next bytes. `false` if no more are read.
    async fn next(&mut self) -> bool {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Discards the next bytes if they are there, and wakes the task for more.
    fn discard(&mut self, cx: &mut Context<'_>) {
        if let Poll::Ready(true) = self.poll_next(cx) {
            cx.waker().wake_by_ref();
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.is_over || self.discarded >= DISCARDED {
            return Poll::Ready(false);
        }
        let bytes = ready!(poll_discard(self.stream, cx, &mut self.buffer)).unwrap_or(0);
        self.discarded += bytes;
        self.is_over = bytes == 0;
        Poll::Ready(!self.is_over)
    }
}
