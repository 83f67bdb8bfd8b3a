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
/// | a loop that computes on a worker or a blocking thread | [`probe`](Self::probe), every few milliseconds |
/// | a check between two steps of async code | [`is_closed`](Self::is_closed): one atomic load |
/// | a page that shows the state of many streams | [`subscribe`](Self::subscribe), or [`status`](Self::status) |
/// | work that a client may come back for | [`grace_period`](Self::grace_period) |
/// | a log line about the bytes that got through | [`transfer`](Self::transfer) |
/// | a message that has to have arrived before the next step | [`wait_acknowledged`](Self::wait_acknowledged) |
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
    /// For producers that compute or block between two writes, and so keep the watcher from running. It needs no
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
        // In this order: what is acknowledged was accepted before.
        let acknowledged = self.shared.acknowledged();
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

    /// Whether the number of acknowledged bytes is unknown for good.
    pub(crate) fn is_acknowledgement_unknowable(&self) -> bool {
        self.shared.is_acknowledgement_unknowable()
    }

    /// Two numbers, one of which grows when bytes move towards the peer: into the stream, or out of the
    /// system's memory.
    pub(crate) fn moved(&self) -> (u64, u64) {
        let drained = self.socket().map_or(0, |socket| socket.drained());
        (self.shared.counters.accepted(), drained)
    }

    /// How many bytes reads of the stream have returned.
    pub(crate) fn transfer_read(&self) -> u64 {
        self.shared.counters.read()
    }

    /// Closes a half-closed stream whose peer is taken to be gone.
    pub(crate) fn end_half_close(&self) {
        self.shared.observe(Event::HungUp, DetectedBy::HalfClose);
    }

    /// How many bytes the system holds for the peer, where it tells.
    pub(crate) fn owed(&self) -> Option<u64> {
        self.socket()?.owed()
    }

    /// Runs `future` until it completes or the stream closes, whichever comes first.
    ///
    /// # It is for work, not for reads
    ///
    /// A peer may send something and close at once: a QUIT, a last message, an answer. The close is known
    /// before the program has read what arrived in front of it, so a `future` that reads the stream is dropped
    /// with that input unread. Read without it: what arrived stays readable after the close, and a read of a
    /// closed stream always comes to the end of the input or to an error. Run what is made *for* the peer with
    /// it: queries, tokens, files.
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

    /// Ends the stream now, with [`CloseReason::Aborted`]: pending calls of the stream are woken and fail with that
    /// reason, and the connection is reset.
    ///
    /// On Linux a TCP connection is reset at once, and the kernel frees its memory, although the stream keeps its
    /// descriptor until it is dropped. Data that the kernel had accepted and not sent is discarded, and so is data
    /// that had arrived and was not read: [`reset_after_delivery`](crate::MonitoredStream::reset_after_delivery)
    /// delivers first. The peer's reads fail with a reset, which may discard data that it has not read.
    /// [`transfer`](Self::transfer) tells what was acknowledged until then.
    ///
    /// While another thread is inside a read or a write of the stream, the reset waits for the end of that
    /// call, and this does not wait for it.
    ///
    /// On other systems the reset is sent, and the memory freed, when the stream is dropped (`SO_LINGER` of zero). A
    /// Unix socket is shut down in both directions, and its peer can still read what had arrived there. A pipe, and a
    /// stream without a descriptor, only end on our side.
    ///
    /// It works from any thread and needs no runtime. A stream that is already closed keeps its reason, and is reset
    /// if it was not dropped.
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

    /// Ends the stream as [`abort`](Self::abort) does, and in order: what the system has is delivered, and then our FIN.
    pub(crate) fn shut_down(&self) {
        self.shared.apply(Event::Aborted, DetectedBy::Us);
        if let Some(socket) = self.socket() {
            socket.shut_down();
        }
    }

    /// A token that is cancelled when the stream closes.
    ///
    /// Use it for work that is done for the peer. A read that ends with the token loses data that arrived before
    /// the close: see [`run_until_closed`](Self::run_until_closed).
    ///
    /// Each call returns a child token: cancelling it affects only what is derived from it.
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
