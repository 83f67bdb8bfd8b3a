//! The cloneable handle on one stream.

use crate::errors::CloseReason;
use crate::state::{Closed, DetectedBy, Status};
use crate::watcher::Socket;
use std::fmt;
use std::sync::Arc;
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
///   has read it: see [`Transfer::acknowledged`](crate::Transfer::acknowledged).
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
    pub(super) shared: Arc<Socket>,
}

impl Monitor {
    pub(crate) fn new(shared: Arc<Socket>) -> Self {
        Self { shared }
    }

    /// `None` for a stream without a descriptor.
    pub(super) fn socket(&self) -> Option<&Arc<Socket>> {
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
    /// delays only its own channel, until it is dropped. While 64 channels are held, those of outboxes among them, all
    /// other channels wait too. tokio's paused clock does not wait for that thread: await [`closed`](Self::closed) in such
    /// a test.
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
    /// assert!(stream.is_closed());
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
