//! The cloneable handle on one stream's shared.

use crate::errors::CloseReason;
use crate::state::{Closed, DetectedBy, Event, SharedState, Status, Transfer};
use crate::watcher::Socket;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The cloneable handle on one stream's shared.
///
/// It works from any task and any thread, `spawn_blocking` and threads without a runtime included. It
/// never keeps the socket open: when the stream is dropped its descriptor is closed, and every
/// monitor tells [`CloseReason::Dropped`].
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
#[derive(Clone)]
pub struct Monitor {
    shared: Arc<SharedState>,
    /// What can be asked; `None` for a stream without a socket.
    socket: Option<Arc<Socket>>,
}

impl Monitor {
    pub(crate) fn new(shared: Arc<SharedState>, socket: Option<Arc<Socket>>) -> Self {
        Self { shared, socket }
    }

    /// Resolves when the stream is over, with the reason.
    pub fn closed(&self) -> Closed {
        Closed::new(self.shared.clone())
    }

    /// Whether the stream is over, as far as the watcher and the stream's own I/O have told.
    ///
    /// One atomic load; no system call. A producer that blocks its runtime's only worker blocks the
    /// watcher too: it asks the kernel with [`probe`](Self::probe).
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Why the stream is over, if it is.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared.close_reason()
    }

    /// How the stream stands.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// The watch channel on the stream's status.
    ///
    /// The receiver has the present status at once, and outlives the stream: the last value is always
    /// [`Status::Closed`]. To wait for the end use
    /// [`wait_for`](watch::Receiver::wait_for)`(Status::is_closed)`: `changed()` does not see what was
    /// there before the call.
    ///
    /// It is the last observer that is told: a close wakes the [`Closed`] futures, cancels the tokens, and
    /// then has a thread of this crate publish it to the channel, some microseconds later. So a
    /// [`Ref`](watch::Ref) that somebody holds delays nothing but this one channel, until it is dropped. While
    /// 64 channels are held, those of other streams wait too.
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

    /// Asks the kernel now, and tells how the stream stands.
    ///
    /// For producers that compute or block between two writes, and so keep the watcher from running.
    /// Needs no runtime. While the stream is open it costs one system call for TCP and two for
    /// other sockets, which read nothing; after that, and for a stream without a socket, none.
    ///
    /// While another thread is inside a read or a write of the stream, what the kernel says is taken in
    /// when that call ends: the answer may then be the status before it.
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
        if let Some(socket) = &self.socket
            && !self.is_closed()
        {
            socket.examine(DetectedBy::Probe);
        }
        self.status()
    }

    /// How many bytes the stream has carried. Asks the kernel what is acknowledged, in three system calls.
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
        let acknowledged = self
            .socket
            .as_ref()
            .and_then(|socket| socket.acknowledged());
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

    /// Whether it is not known, and never will be, how many bytes the peer has acknowledged.
    pub(crate) fn is_acknowledgement_unknowable(&self) -> bool {
        let unknowable = |socket: &Arc<Socket>| socket.is_acknowledgement_unknowable();
        self.socket.as_ref().is_none_or(unknowable)
    }

    /// Two numbers, one of which grows when bytes move towards the peer: into the stream, or out of the
    /// system's memory.
    pub(crate) fn moved(&self) -> (u64, u64) {
        let drained = self.socket.as_ref().map_or(0, |socket| socket.drained());
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
        self.socket.as_ref()?.owed()
    }

    /// Runs `future` until it is ready or the stream is over, whichever is first.
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
    /// The reason, if the stream is over before `future` is ready: `future` is then dropped where it
    /// stands, and is not polled at all if the stream is over from the start.
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

    /// Ends the stream now, with [`CloseReason::Aborted`]: pending calls of the stream are woken and fail
    /// with it, and the peer is reset.
    ///
    /// On Linux a TCP connection is reset at once, and its memory in the kernel freed, although the
    /// stream keeps its descriptor until it is dropped: what the kernel had accepted and not yet sent is
    /// dropped, and so is what had arrived and was not yet read. The peer's reads fail with a reset, after
    /// or instead of what it had still to read. Reads of the stream fail with the reason;
    /// [`transfer`](Self::transfer) tells what was acknowledged until then.
    ///
    /// While another thread is inside a read or a write of the stream, the reset waits for the end of that
    /// call, and this does not wait for it.
    ///
    /// On other systems the reset is sent, and the memory freed, when the stream is dropped (`SO_LINGER`
    /// of zero). A Unix socket is shut down in both directions: what its peer has not read yet stays
    /// readable there. Of a stream without a socket only our side ends, and what had arrived stays
    /// readable.
    ///
    /// Works from any thread, and needs no runtime. A stream that is over for another reason keeps that
    /// reason and is reset all the same, if it was not dropped; after the drop nothing happens.
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
        match &self.socket {
            Some(socket) => socket.abort(Event::Aborted, DetectedBy::Us),
            None => self.shared.apply(Event::Aborted, DetectedBy::Us),
        }
    }

    /// A token that is cancelled when the stream is over.
    ///
    /// It is for work that is done for the peer. A read that ends with the token loses what had arrived in
    /// front of the close: see [`run_until_closed`](Self::run_until_closed#it-is-for-work-not-for-reads).
    ///
    /// Each call gives a token of its own: whoever cancels it cancels what is derived from it, and
    /// nothing else.
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
            .field("watched", &self.socket.is_some())
            .finish()
    }
}
