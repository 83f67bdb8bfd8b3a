//! The cloneable handle on one stream.

use crate::errors::CloseReason;
use crate::state::{Closed, DetectedBy, Event, Status, Transfer};
use crate::watcher::Socket;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A cloneable handle on one stream.
///
/// It works from any task and any thread, also from `spawn_blocking` and without a runtime. It never keeps the
/// connection open: when the stream is dropped, its descriptor is closed, and every monitor reports
/// [`CloseReason::Dropped`].
///
/// ```
/// use hangup::{CloseReason, MonitoredStream};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let stream = MonitoredStream::new(listener.accept().await?.0)?;
///
/// let monitor = stream.monitor();
/// let elsewhere = tokio::spawn(async move { monitor.closed().await });
/// drop(client);
/// assert_eq!(elsewhere.await?, CloseReason::PeerClosed);
/// # Ok(())
/// # }
/// ```
///
/// # Which method
///
/// | you have | call |
/// |---|---|
/// | a future that is worth nothing without the peer | [`run_until_closed`](Self::run_until_closed) |
/// | the same, whose own error counts too | [`run_io`](Self::run_io) |
/// | a loop with `select!` | [`closed`](Self::closed), once, and `&mut closed` in the loop |
/// | code that takes a `CancellationToken` | [`cancellation_token`](Self::cancellation_token) |
/// | a loop that computes on a worker thread or a blocking thread | [`probe`](Self::probe), every few milliseconds |
/// | a check between two steps of async code | [`is_closed`](Self::is_closed): one atomic load |
/// | a page that shows the state of many streams | [`subscribe`](Self::subscribe), or [`status`](Self::status) |
/// | work that a client may reconnect to | [`grace_period`](Self::grace_period) |
/// | a log line about the bytes that got through | [`transfer`](Self::transfer) |
/// | a message that must arrive before the next step | [`wait_acknowledged`](Self::wait_acknowledged) |
/// | a client that must go | [`abort`](Self::abort) |
///
/// # When each of them learns of the close
///
/// | | learns of the close | costs while the stream is open |
/// |---|---|---|
/// | [`closed`](Self::closed), [`run_until_closed`](Self::run_until_closed) | when the watcher or a call of the stream detects it; its task is woken | one waker in a list |
/// | [`cancellation_token`](Self::cancellation_token) | at the same time | one token for each stream, created on first use |
/// | [`is_closed`](Self::is_closed), [`close_reason`](Self::close_reason), [`status`](Self::status) | at the next call | nothing |
/// | [`probe`](Self::probe) | at the next call, even if all worker threads are blocked | one system call each time |
/// | [`subscribe`](Self::subscribe) | last, some microseconds after the others | one channel for each stream, created on first use |
///
/// All of them report the same [`CloseReason`], and it never changes.
///
/// # Pitfalls
///
/// * **Received data.** The close may be known before the program has read what the peer sent last. Use a monitor to
///   stop work *for* the peer, not to stop reading: see [`run_until_closed`](Self::run_until_closed).
/// * **Blocked threads.** The watcher is a task. If every worker thread of its runtime computes or blocks,
///   [`is_closed`](Self::is_closed) stays `false`. Call [`probe`](Self::probe) there, or move the work to
///   [`spawn_blocking`](tokio::task::spawn_blocking).
/// * **Futures that never yield.** [`run_until_closed`](Self::run_until_closed) and a token can stop a future only at an
///   `.await`. A long computation has to check by itself.
/// * **A close is not a delivery receipt.** [`CloseReason::PeerClosed`] after the last write does not say that the peer
///   has read it: see [`Transfer::acknowledged`].
/// * **A monitor does not close the stream.** Dropping the last monitor has no effect on the connection.
///
/// ```
/// use hangup::MonitoredStream;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (io, client) = tokio::io::duplex(64);
/// let stream = MonitoredStream::unwatched(io);
/// let monitor = stream.monitor();
/// // A query for this client alone: it ends with the client.
/// let query = async { std::future::pending::<u32>().await };
/// let answer = tokio::spawn(async move { monitor.run_until_closed(query).await });
/// drop((stream, client));
/// assert!(answer.await.unwrap().is_err());
/// # }
/// ```
#[derive(Clone)]
pub struct Monitor {
    shared: Arc<Socket>,
}

impl Monitor {
    pub(crate) fn new(shared: Arc<Socket>) -> Self {
        Self { shared }
    }

    /// `None` for a stream without a descriptor.
    fn socket(&self) -> Option<&Arc<Socket>> {
        Some(&self.shared).filter(|socket| socket.is_watched())
    }

    /// A future that resolves with the reason when the stream closes. It borrows nothing.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it may be dropped and created again.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let closed = stream.monitor().closed();
    /// drop(stream);
    /// assert_eq!(closed.await, CloseReason::Dropped);
    /// # }
    /// ```
    pub fn closed(&self) -> Closed {
        Closed::new(self.shared.clone())
    }

    /// Whether the stream is over, as far as the watcher and the stream's own I/O know.
    ///
    /// One atomic load; no system call. A producer that blocks the only worker of its runtime blocks the watcher too: such
    /// a producer asks the kernel with [`probe`](Self::probe).
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let monitor = stream.monitor();
    /// assert!(!monitor.is_closed());
    /// drop(stream);
    /// assert!(monitor.is_closed());
    /// # }
    /// ```
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Why the stream is over; `None` while it is open.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let monitor = stream.monitor();
    /// assert_eq!(monitor.close_reason(), None);
    /// monitor.abort();
    /// assert_eq!(monitor.close_reason(), Some(CloseReason::Aborted));
    /// # }
    /// ```
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared.close_reason()
    }

    /// The status of the stream.
    ///
    /// ```
    /// use hangup::{MonitoredStream, Status};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let monitor = stream.monitor();
    /// assert_eq!(monitor.status(), Status::Open);
    /// drop(stream);
    /// assert!(monitor.status().is_closed());
    /// # }
    /// ```
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// A watch channel with the status of the stream.
    ///
    /// The receiver starts with the current status and outlives the stream; the last value is always
    /// [`Status::Closed`]. To wait for the close use
    /// [`wait_for`](watch::Receiver::wait_for)`(Status::is_closed)`: `changed()` misses a status that was there before
    /// the call.
    ///
    /// The channel is updated last. A close first wakes the [`Closed`] futures and cancels the tokens; then a thread
    /// of this crate updates the channel, some microseconds later. So a [`Ref`](watch::Ref) that a program holds
    /// delays only its own channel, until it is dropped. While 64 channels are held, the channels of other streams
    /// wait too. tokio's paused clock does not wait for that thread: await [`closed`](Self::closed) in such a test.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream, Status};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let mut status = stream.monitor().subscribe();
    /// assert_eq!(*status.borrow(), Status::Open);
    /// drop(stream);
    /// let last = status.wait_for(Status::is_closed).await.unwrap().clone();
    /// assert_eq!(last, Status::Closed(CloseReason::Dropped));
    /// # }
    /// ```
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.shared.subscribe()
    }

    /// Asks the kernel now, and returns the status.
    ///
    /// For producers that compute or block between two writes and so keep the watcher from running. It needs no
    /// runtime. While the stream is open it makes one system call, which reads no data; after the close, and for a
    /// stream without a descriptor, none.
    ///
    /// While another thread is inside a read or a write of the stream, the answer of the kernel is applied when that
    /// call ends, so this may return the status from before.
    ///
    /// ```
    /// use hangup::{MonitoredStream, Status};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// let monitor = stream.monitor();
    ///
    /// let tokens = std::thread::spawn(move || {
    ///     let mut tokens = 0;
    ///     while !monitor.probe().is_closed() {
    ///         tokens += 1; // computed for somebody
    ///     }
    ///     tokens
    /// });
    /// drop(client);
    /// println!("stopped after {} tokens", tokens.join().unwrap());
    /// # Ok(())
    /// # }
    /// ```
    pub fn probe(&self) -> Status {
        if let Some(socket) = self.socket()
            && !self.is_closed()
        {
            socket.examine(DetectedBy::Probe);
        }
        self.status()
    }

    /// How many bytes the stream has carried. It makes three system calls to learn what was acknowledged.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (io, _peer) = tokio::io::duplex(64);
    /// let mut stream = MonitoredStream::unwatched(io);
    /// let monitor = stream.monitor();
    /// stream.write_all(b"hello").await?;
    /// drop(stream);
    /// assert_eq!(monitor.transfer().accepted, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn transfer(&self) -> Transfer {
        let counters = &self.shared.counters;
        // The acknowledged bytes are read first, so that they are never more than the accepted ones.
        let acknowledged = self.socket().and_then(|socket| socket.acknowledged());
        Transfer {
            read: counters.read(),
            accepted: counters.accepted(),
            acknowledged,
        }
    }

    /// How many bytes the wrapped stream took from writes: [`Transfer::accepted`], without asking the kernel.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (io, _peer) = tokio::io::duplex(64);
    /// let mut stream = MonitoredStream::unwatched(io);
    /// stream.write_all(b"hello").await?;
    /// assert_eq!(stream.monitor().accepted(), 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn accepted(&self) -> u64 {
        self.shared.counters.accepted()
    }

    /// Whether the number of acknowledged bytes can never be known.
    pub(crate) fn is_acknowledgement_unknowable(&self) -> bool {
        let unknowable = |socket: &Arc<Socket>| socket.is_acknowledgement_unknowable();
        self.socket().is_none_or(unknowable)
    }

    /// Two counters. At least one of them grows when bytes move towards the peer: into the stream, or out of the
    /// memory of the system.
    pub(crate) fn moved(&self) -> (u64, u64) {
        let drained = self.socket().map_or(0, |socket| socket.drained());
        (self.shared.counters.accepted(), drained)
    }

    /// How many bytes reads of the stream have returned.
    pub(crate) fn transfer_read(&self) -> u64 {
        self.shared.counters.read()
    }

    /// Closes a half-closed stream whose peer has presumably left.
    pub(crate) fn end_half_close(&self) {
        self.shared.observe(Event::HungUp, DetectedBy::HalfClose);
    }

    /// How many bytes the system holds for the peer; `None` if it does not report them.
    pub(crate) fn owed(&self) -> Option<u64> {
        self.socket()?.owed()
    }

    /// Runs `future` until it completes or the stream closes, whichever comes first.
    ///
    /// # It is for work, not for reads
    ///
    /// A peer may send something and close at once: a QUIT, a last message, an answer. The close is detected
    /// before the program has read that data, so a `future` that reads the stream would be dropped and the data
    /// would stay unread. Read without this method. Received data stays readable after the close, and a read of a
    /// closed stream always reaches EOF or an error. Use this method for work that is done *for* the peer: queries,
    /// tokens, files.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, mut peer) = tokio::net::UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// let monitor = stream.monitor();
    /// peer.write_all(b"QUIT").await?;
    /// drop(peer);
    /// assert_eq!(monitor.closed().await, CloseReason::PeerClosed);
    ///
    /// // The work stops, and the command is delivered.
    /// let work = monitor.run_until_closed(std::future::pending::<()>()).await;
    /// assert_eq!(work, Err(CloseReason::PeerClosed));
    /// let mut command = String::new();
    /// stream.read_to_string(&mut command).await?;
    /// assert_eq!(command, "QUIT");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The reason, if the stream closes before `future` completes. `future` is then dropped. If the stream is closed
    /// from the start, `future` is not polled at all.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `future` is.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let monitor = stream.monitor();
    /// assert_eq!(monitor.run_until_closed(async { 7 }).await, Ok(7));
    /// drop(stream);
    /// assert_eq!(monitor.run_until_closed(async { 7 }).await, Err(CloseReason::Dropped));
    /// # }
    /// ```
    pub async fn run_until_closed<F: Future>(&self, future: F) -> Result<F::Output, CloseReason> {
        let mut future = pin!(future);
        let mut closed = pin!(self.closed());
        std::future::poll_fn(|cx| match closed.as_mut().poll(cx) {
            Poll::Ready(reason) => Poll::Ready(Err(reason)),
            Poll::Pending => future.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    /// Closes the stream now, with [`CloseReason::Aborted`]. Pending calls of the stream are woken and fail with that
    /// reason, and the connection is reset.
    ///
    /// | stream | what happens |
    /// |---|---|
    /// | TCP on Linux | the reset is sent at once and the kernel frees its buffers, although the stream keeps its descriptor until it is dropped |
    /// | TCP on other systems | the reset is sent when the stream is dropped (`SO_LINGER` of zero) |
    /// | Unix socket | both directions are shut down; the peer can still read what has arrived |
    /// | pipe, or a stream without a descriptor | the stream closes on our side only |
    ///
    /// A reset discards data that the kernel has accepted and not sent, and received data that was not read. To
    /// deliver it first, use [`reset_after_delivery`](crate::MonitoredStream::reset_after_delivery). The peer's reads
    /// fail with a reset, and its system may discard data that it has not read. [`transfer`](Self::transfer) reports
    /// how much was acknowledged before the reset.
    ///
    /// If another thread is inside a read or a write of the stream, the reset is sent when that call ends. This method
    /// does not wait for it. It works from any thread and needs no runtime. A stream that is already closed keeps its
    /// reason, and is reset unless it was dropped.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let mut stream = MonitoredStream::new(listener.accept().await?.0)?;
    ///
    /// let monitor = stream.monitor();
    /// std::thread::spawn(move || monitor.abort());
    /// let error = loop {
    ///     // The client reads nothing.
    ///     if let Err(error) = stream.write_all(&[0; 65536]).await {
    ///         break error;
    ///     }
    /// };
    /// assert_eq!(CloseReason::from(&error), CloseReason::Aborted);
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort(&self) {
        match self.socket() {
            Some(socket) => socket.abort(Event::Aborted, DetectedBy::Us),
            None => self.shared.apply(Event::Aborted, DetectedBy::Us),
        }
    }

    /// Closes the stream as [`abort`](Self::abort) does, but without a reset: the system still delivers what it has
    /// accepted, followed by our FIN.
    pub(crate) fn shut_down(&self) {
        self.shared.apply(Event::Aborted, DetectedBy::Us);
        if let Some(socket) = self.socket() {
            socket.shut_down();
        }
    }

    /// A token that is cancelled when the stream closes.
    ///
    /// Use it for work that is done for the peer. A read that stops with the token misses data that arrived before
    /// the close: see [`run_until_closed`](Self::run_until_closed).
    ///
    /// Each call returns a child token, so cancelling it affects only the tokens that are derived from it.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let token = stream.monitor().cancellation_token();
    /// assert!(!token.is_cancelled());
    /// drop(stream);
    /// assert!(token.is_cancelled());
    /// # }
    /// ```
    pub fn cancellation_token(&self) -> CancellationToken {
        self.shared.token()
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("status", &self.status())
            .field("transfer", &self.transfer())
            .field("watched", &self.shared.is_watched())
            .finish()
    }
}
