//! Copying between two streams, both ways.

use crate::errors::CloseReason;
use crate::state::Transfer;
use crate::stream::MonitoredStream;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// The default of each direction's buffer.
const BUFFER: usize = 16 * 1024;

/// How a copy between two streams ended: see [`copy_bidirectional`]. For the log of a relay:
///
/// ```
/// use hangup::{CopyOutcome, CopySide, MonitoredListener, MonitoredStream, copy_bidirectional};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
///
/// /// Who ended the connection, and why.
/// fn describe(outcome: &CopyOutcome) -> String {
///     let side = |name: &str, side: &CopySide| match &side.reason {
///         Some(reason) => format!("{name} closed ({reason}) after {} bytes", side.transfer.read),
///         None => format!("{name} still open after {} bytes", side.transfer.read),
///     };
///     format!("{}; {}", side("client", &outcome.a), side("server", &outcome.b))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let backend = TcpListener::bind("127.0.0.1:0").await?;
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut a, _) = listener.accept().await?;
/// let mut b = MonitoredStream::new(TcpStream::connect(backend.local_addr()?).await?)?;
/// let (mut server, _) = backend.accept().await?;
///
/// client.write_all(b"hello").await?;
/// drop(client);
/// let outcome = copy_bidirectional(&mut a, &mut b).await;
/// let mut received = String::new();
/// server.read_to_string(&mut received).await?;
/// assert_eq!(received, "hello");
/// assert!(describe(&outcome).starts_with("client closed"));
/// assert_eq!(outcome.a.transfer.read, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CopyOutcome {
    /// The first stream.
    pub a: CopySide,
    /// The second stream.
    pub b: CopySide,
}

/// One of the two streams at the end of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CopySide {
    /// The bytes that it has carried since it was created.
    pub transfer: Transfer,
    /// Why it closed; `None` if it is open.
    pub reason: Option<CloseReason>,
}

impl CopySide {
    fn of<S>(stream: &MonitoredStream<S>) -> Self {
        Self {
            transfer: stream.monitor().transfer(),
            reason: stream.close_reason(),
        }
    }
}

/// Copies between two streams in both directions, until one of them closes.
///
/// When one stream closes,
/// * the direction towards it ends at once, also while it waits for input, or for a peer that does not read;
/// * what had arrived from it is still written to the other stream. If the input ended with a FIN, the other stream is
///   then shut down. After any other end, such as a reset, it is not: a FIN would tell its peer that the message is
///   complete.
///
/// So at the end at least one of the two streams is closed, and the other one may be open. What was written to the open
/// one is in the kernel, and may not have arrived:
/// * after a FIN, [`finish`](MonitoredStream::finish) waits until its peer has acknowledged everything;
/// * after any other end, [`reset_after_delivery`](MonitoredStream::reset_after_delivery) waits in the same way and then
///   passes the reset on. [`abort`](MonitoredStream::abort) alone discards what is still on its way, and a drop sends a
///   FIN.
///
/// The counts in [`CopyOutcome`] are those of the streams, from their creation. Bytes that were read from one stream and
/// not accepted by the other one are lost.
///
/// | `a`'s peer | `a.reason` | `b.reason` | what `b`'s peer sees |
/// |---|---|---|---|
/// | closes, by a FIN | `PeerClosed` | `None` | all data, then a FIN |
/// | resets | `Reset` | `None` | what had arrived, and no FIN: end `b` yourself |
/// | half-closes, with [`HalfClose::Allow`](crate::HalfClose), and `b`'s peer answers and closes | `Finished` | `Finished` | all data, a FIN, and its own answer was delivered |
/// | stalls, with a [`StallPolicy`](crate::StallPolicy) | `Stalled` | `None` | what was read from `a`, and no FIN |
/// | vanishes, with a [`dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout) | `TimedOut` | `None` | what had arrived, and no FIN |
///
/// # Half-close
///
/// A FIN ends both directions, unless its stream allows half-closes ([`HalfClose::Allow`](crate::HalfClose)). Then the
/// FIN is passed on as a shutdown after the data before it, and the other direction goes on, as with
/// `tokio::io::copy_bidirectional`.
///
/// # What it waits for
///
/// * One peer has left, and the other one does not read the last data. The copy waits until it reads or leaves too.
///   Workaround: a [`StallPolicy`](crate::StallPolicy) for both streams.
/// * With [`HalfClose::Allow`](crate::HalfClose::Allow), a client half-closes and then vanishes, while the server sends
///   nothing. Workaround: [`CopyOptions::half_close_timeout`].
///
/// While the other side does not take its data, the copy stops reading, and a FIN behind the unread data cannot be
/// [seen](crate#what-cannot-be-seen). A reset can.
///
/// # Errors
///
/// None. An error closes its stream, and is the reason of that stream in the outcome. A stream whose write accepts zero
/// bytes is [aborted](CloseReason::Aborted).
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read from one stream and not yet accepted by the other one are lost with the future,
/// at most a buffer for each direction. The streams remain usable.
///
/// ```
/// use hangup::{CloseReason, MonitoredStream, copy_bidirectional};
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
/// let mut server = backend.accept().await?.0;
///
/// client.write_all(b"hello").await?;
/// drop(client);
/// let copied = copy_bidirectional(&mut a, &mut b).await;
/// assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
/// assert_eq!(copied.a.transfer.read, 5);
/// assert_eq!((copied.b.reason, copied.b.transfer.accepted), (None, 5));
/// let mut received = String::new();
/// server.read_to_string(&mut received).await?;
/// assert_eq!(received, "hello");
/// # Ok(())
/// # }
/// ```
pub async fn copy_bidirectional<A, B>(
    a: &mut MonitoredStream<A>,
    b: &mut MonitoredStream<B>,
) -> CopyOutcome
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    copy_bidirectional_with_sizes(a, b, BUFFER, BUFFER).await
}

/// As [`copy_bidirectional`], with buffers of these sizes in bytes: the largest number of bytes that one read takes from
/// `a` and from `b`. The default is 16 KiB. Larger buffers need fewer system calls, and memory for each connection.
///
/// # Panics
///
/// If a size is 0.
///
/// # Cancel safety
///
/// As [`copy_bidirectional`]: not cancel safe.
///
/// ```
/// use hangup::{CloseReason, MonitoredStream, copy_bidirectional_with_sizes};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (a, mut client) = tokio::io::duplex(1024);
/// let (b, mut server) = tokio::io::duplex(1024);
/// let (mut a, mut b) = (MonitoredStream::unwatched(a), MonitoredStream::unwatched(b));
/// client.write_all(b"an upload").await?;
/// drop(client);
/// // Uploads are large and answers small.
/// let copied = copy_bidirectional_with_sizes(&mut a, &mut b, 256 << 10, 4 << 10).await;
/// assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
/// let mut received = String::new();
/// server.read_to_string(&mut received).await?;
/// assert_eq!(received, "an upload");
/// # Ok(())
/// # }
/// ```
pub async fn copy_bidirectional_with_sizes<A, B>(
    a: &mut MonitoredStream<A>,
    b: &mut MonitoredStream<B>,
    a_to_b: usize,
    b_to_a: usize,
) -> CopyOutcome
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let options = CopyOptions::new().buffer_sizes(a_to_b, b_to_a);
    options.copy(a, b).await
}

/// The options of a copy between two streams: [`copy_bidirectional`] with other settings.
///
/// ```
/// use hangup::{CloseReason, CopyOptions, HalfClose, MonitorConfig, MonitoredStream};
/// use std::time::Duration;
/// use tokio::io::AsyncWriteExt;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let config = MonitorConfig::new().half_close(HalfClose::Allow);
/// let (a, mut client) = tokio::io::duplex(64);
/// let (b, _server) = tokio::io::duplex(64);
/// let mut a = MonitoredStream::unwatched_with_config(a, &config);
/// let mut b = MonitoredStream::unwatched_with_config(b, &config);
///
/// // The client half-closes, and no answer comes.
/// client.shutdown().await.unwrap();
/// let options = CopyOptions::new().half_close_timeout(Duration::from_secs(60));
/// let copied = options.copy(&mut a, &mut b).await;
/// assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
/// assert_eq!(copied.b.reason, None);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "options do nothing until `copy` is called"]
pub struct CopyOptions {
    a_to_b: usize,
    b_to_a: usize,
    half_close_timeout: Option<Duration>,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl CopyOptions {
    /// The defaults, as in [`copy_bidirectional`]: buffers of 16 KiB, and no limit on a half-close.
    ///
    /// ```
    /// assert_eq!(hangup::CopyOptions::new(), hangup::CopyOptions::default());
    /// ```
    pub const fn new() -> Self {
        Self {
            a_to_b: BUFFER,
            b_to_a: BUFFER,
            half_close_timeout: None,
        }
    }

    /// The sizes of the buffers in bytes: the largest number of bytes that one read takes from `a` and from `b`. The
    /// default is 16 KiB for both.
    ///
    /// # Panics
    ///
    /// If a size is 0.
    ///
    /// ```
    /// use hangup::CopyOptions;
    ///
    /// const UPLOADS: CopyOptions = CopyOptions::new().buffer_sizes(256 << 10, 4 << 10);
    /// assert_ne!(UPLOADS, CopyOptions::new());
    /// ```
    pub const fn buffer_sizes(mut self, a_to_b: usize, b_to_a: usize) -> Self {
        assert!(a_to_b > 0 && b_to_a > 0, "hangup: a copy needs a buffer");
        self.a_to_b = a_to_b;
        self.b_to_a = b_to_a;
        self
    }

    /// How long the other direction may stand still after one direction has ended with a FIN. The default is
    /// no limit.
    ///
    /// It matters for streams with [`HalfClose::Allow`](crate::HalfClose::Allow): a client that half-closed
    /// may be gone, and a relay with an idle server would wait for it forever. When no byte was copied
    /// for one to two such periods, the stream that sent the FIN closes with
    /// [`CloseReason::PeerClosed`], and the copy ends. [`HalfClose::AllowFor`](crate::HalfClose::AllowFor)
    /// sets the same limit for each stream by itself.
    ///
    /// ```
    /// use hangup::CopyOptions;
    /// use std::time::Duration;
    ///
    /// const TUNNEL: CopyOptions = CopyOptions::new().half_close_timeout(Duration::from_secs(120));
    /// assert_ne!(TUNNEL, CopyOptions::new());
    /// ```
    pub const fn half_close_timeout(mut self, period: Duration) -> Self {
        self.half_close_timeout = Some(period);
        self
    }

    /// Copies between two streams in both directions until one of them closes: see [`copy_bidirectional`].
    ///
    /// # Panics
    ///
    /// With a [`half_close_timeout`](Self::half_close_timeout), if the runtime has no timer.
    ///
    /// # Cancel safety
    ///
    /// As [`copy_bidirectional`]: not cancel safe.
    ///
    /// ```
    /// use hangup::{CloseReason, CopyOptions, MonitoredStream};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (a, mut client) = tokio::io::duplex(64);
    /// let (b, _server) = tokio::io::duplex(64);
    /// let (mut a, mut b) = (MonitoredStream::unwatched(a), MonitoredStream::unwatched(b));
    /// client.write_all(b"hello").await?;
    /// drop(client);
    /// let copied = CopyOptions::new().copy(&mut a, &mut b).await;
    /// assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
    /// assert_eq!((copied.a.transfer.read, copied.b.transfer.accepted), (5, 5));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn copy<A, B>(
        self,
        a: &mut MonitoredStream<A>,
        b: &mut MonitoredStream<B>,
    ) -> CopyOutcome
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut forth, mut back) = (Direction::new(self.a_to_b), Direction::new(self.b_to_a));
        let (mut a_closed, mut b_closed) = (a.closed(), b.closed());
        let mut still = self.half_close_timeout.map(StandStill::new);
        poll_fn(|cx| {
            loop {
                forth.poll(cx, a, b);
                back.poll(cx, b, a);
                if forth.done && back.done {
                    return Poll::Ready(());
                }
                // Only this tells a direction that waits for input that the other stream has closed. It ends in
                // the next turn of the loop.
                let b_over = !forth.done && Pin::new(&mut b_closed).poll(cx).is_ready();
                let a_over = !back.done && Pin::new(&mut a_closed).poll(cx).is_ready();
                if a_over || b_over {
                    continue;
                }
                let (half_closed, copied) = match (forth.done, back.done) {
                    (true, _) => (a.monitor(), b.monitor()),
                    (_, true) => (b.monitor(), a.monitor()),
                    _ => return Poll::Pending,
                };
                let Some(still) = &mut still else {
                    return Poll::Pending;
                };
                let moved = (half_closed.accepted(), copied.transfer_read());
                ready!(still.poll(cx, moved));
                half_closed.end_half_close();
            }
        })
        .await;
        CopyOutcome {
            a: CopySide::of(a),
            b: CopySide::of(b),
        }
    }
}

/// Detects that the remaining direction stands still.
struct StandStill {
    period: Duration,
    /// The counters when the timer was set.
    before: (u64, u64),
    timer: Option<Pin<Box<Sleep>>>,
}

impl StandStill {
    fn new(period: Duration) -> Self {
        Self {
            period,
            before: (0, 0),
            timer: None,
        }
    }

    /// Ready when nothing has moved for a period.
    fn poll(&mut self, cx: &mut Context<'_>, moved: (u64, u64)) -> Poll<()> {
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
                if self.before == moved {
                    return Poll::Ready(());
                }
            }
            self.before = moved;
            self.timer = Some(Box::pin(tokio::time::sleep(self.period)));
        }
    }
}

/// How the input of a direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Error,
}

/// One of the two directions.
struct Direction {
    buffer: Box<[u8]>,
    /// `buffer[start..end]` is read and not accepted yet.
    start: usize,
    end: usize,
    /// Something was accepted since the last flush.
    unflushed: bool,
    input: Option<End>,
    done: bool,
}

impl Direction {
    fn new(size: usize) -> Self {
        Self {
            buffer: vec![0; size].into(),
            start: 0,
            end: 0,
            unflushed: false,
            input: None,
            done: false,
        }
    }

    /// Copies as far as possible without waiting.
    fn poll<X, Y>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut MonitoredStream<X>,
        to: &mut MonitoredStream<Y>,
    ) where
        X: AsyncRead + Unpin,
        Y: AsyncWrite + Unpin,
    {
        // Nothing can be delivered to a closed stream.
        while !self.done && !to.is_closed() {
            match self.step(cx, from, Pin::new(to)) {
                Poll::Pending => return,
                // Usually the error has closed `to`. If not, an abort does. A stream that is closed already is not
                // aborted, because that would discard input which still has to be delivered.
                Poll::Ready(Err(error)) if error.kind() != ErrorKind::Interrupted => {
                    if !to.is_closed() {
                        to.abort();
                    }
                }
                Poll::Ready(_) => {}
            }
        }
        self.done = true;
    }

    /// One read and the writes of its data, or the end of the direction. An error is an error of `to`.
    fn step<X, Y>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut MonitoredStream<X>,
        mut to: Pin<&mut MonitoredStream<Y>>,
    ) -> Poll<io::Result<()>>
    where
        X: AsyncRead + Unpin,
        Y: AsyncWrite + Unpin,
    {
        if self.input.is_none() && self.end < self.buffer.len() {
            let filled = self.fill(cx, from);
            // While the read is pending, the data of earlier reads can be written.
            if filled.is_pending() && self.start == self.end {
                if self.unflushed {
                    ready!(to.poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
        while self.start < self.end {
            let rest = &self.buffer[self.start..self.end];
            match ready!(to.as_mut().poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                accepted => self.start += accepted,
            }
            self.unflushed = true;
        }
        (self.start, self.end) = (0, 0);
        match self.input {
            None => {}
            Some(End::Fin) => {
                ready!(to.poll_shutdown(cx))?;
                self.done = true;
            }
            Some(End::Error) => {
                ready!(to.poll_flush(cx))?;
                self.done = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// One read.
    fn fill<X: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut MonitoredStream<X>,
    ) -> Poll<()> {
        let mut room = ReadBuf::new(&mut self.buffer[self.end..]);
        match ready!(Pin::new(from).poll_read(cx, &mut room)) {
            Ok(()) if room.filled().is_empty() => self.input = Some(End::Fin),
            Ok(()) => self.end += room.filled().len(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.input = Some(End::Error),
        }
        Poll::Ready(())
    }
}
