//! The handle on a stream that another library owns.

use super::half_close::HalfCloseTimer;
use crate::monitor::Monitor;
use crate::state::{DetectedBy, Event, HalfClose};
use crate::watcher::{BorrowedRegistration, Socket, Watchable};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Watches a stream that another library owns and only lends. Linux only.
///
/// Some frameworks keep their sockets to themselves: actix-web shows its `on_connect` hook a `&TcpStream`, and takes no
/// [`MonitoredStream`](crate::MonitoredStream). This handle needs such a reference, once. Its
/// [`monitor`](Self::monitor) then reports the end of the peer.
///
/// It never reads, writes, shuts down or resets the stream, takes no error out of it, and does not keep it open: it has no
/// duplicate of the descriptor. It costs one descriptor of its own, an epoll. Arriving data wakes nobody.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use hangup::{CloseReason, WatchOnly};
/// use tokio::io::AsyncReadExt;
/// use tokio::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// // The framework's own stream.
/// let mut stream = listener.accept().await?.0;
/// let watch = WatchOnly::new(&stream)?;
/// let monitor = watch.monitor();
///
/// client.set_zero_linger()?;
/// drop(client); // a reset
/// assert_eq!(monitor.closed().await, CloseReason::Reset);
/// // The error is still there for its owner.
/// let error = stream.read(&mut [0]).await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
/// # Ok(())
/// # }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
///
/// # Keep it beside the stream
///
/// **Linux does not report that the owner itself closes the stream.** The watch then ends silently, and
/// [`closed`](Monitor::closed) waits until this handle is dropped: its monitors report
/// [`CloseReason::Dropped`](crate::CloseReason::Dropped). So keep the handle where it is dropped together with the
/// stream, such as the data that the framework stores for each connection, and not in a task of its own. Best it is dropped
/// just before the stream: the drop looks a last time, so that an end of the peer, which the framework may have learned
/// first, is not reported as `Dropped`. [`Monitor::probe`] looks whether the descriptor is still the same one, and reports `Dropped` too if it is not.
///
/// The number of a closed descriptor is soon another connection's. Neither is mistaken for the other: the kernel's entry
/// belongs to the open file, and the number is used only for questions, whose answers count only while it names the same
/// file (its inode is compared). A stream whose owner moves it to another descriptor (`dup`) is still watched; a probe
/// reports `Dropped` once the first descriptor is closed.
///
/// # What it reports
///
/// | the peer | TCP | Unix socket | pipe |
/// |---|---|---|---|
/// | sends a FIN or closes | `PeerClosed` | `PeerClosed` | `PeerClosed` |
/// | closes, after our FIN | `Finished` | `PeerClosed` | |
/// | resets (Unix: closes with unread data) | `Reset` | `Reset` | |
///
/// The reasons come from the state of the connection (`TCP_INFO`) and from the flags of epoll_ctl(2). `SO_ERROR` has the
/// error itself, and is left to the owner. So these cannot be reported:
///
/// * **which error** ended the connection: a keepalive or user timeout and an unreachable host are `Reset` here. The
///   owner's next read or write returns the error.
/// * a FIN and a reset that arrive at the same time: `Reset` here, `PeerClosed` on a `MonitoredStream`.
/// * an error that the owner has read first: on a Unix socket `PeerClosed`, and on TCP after our FIN `Finished`.
/// * on stream sockets other than TCP and Unix (MPTCP, vsock), whether the owner has shut down its own receiving side: it
///   looks like the peer's FIN. So it does on a Unix socket.
/// * whether the owner writes to a Unix socket whose client reads at once: [`HalfClose::AllowFor`] sees only how much the system
///   holds, and may close a stream on which bytes move. On TCP the acknowledged bytes show it.
/// * how TLS ended: a FIN closes with `PeerClosed`, whether close_notify came before it or not.
/// * what the owner reads and writes: [`transfer`](Monitor::transfer) reports zeros, and `None` for what is acknowledged;
///   [`wait_acknowledged`](Monitor::wait_acknowledged) is [`Unsupported`](io::ErrorKind::Unsupported).
///
/// [`Monitor::abort`] ends the monitors with `Aborted`, and leaves the connection as it is. A watch-only handle makes no
/// event for `tracing`, and counts in no metric.
#[must_use = "the watch ends when the handle is dropped"]
pub struct WatchOnly {
    /// `None` once it is dropped.
    registration: Option<BorrowedRegistration>,
    shared: Arc<Socket>,
}

impl WatchOnly {
    /// Lets the watcher of the current runtime watch the descriptor of `io`, which is borrowed for this call only.
    ///
    /// `io` is anything [`Watchable`]: a socket, a pipe, a `BorrowedFd`, or a TLS stream. It has
    /// to be connected, or connecting. Several handles may watch the same stream, also beside a
    /// [`MonitoredStream`](crate::MonitoredStream).
    ///
    /// # Errors
    ///
    /// * [`Unsupported`](io::ErrorKind::Unsupported): this is not Linux, or the runtime was built without I/O;
    /// * [`NotConnected`](io::ErrorKind::NotConnected): this is not called in a runtime, or the runtime is shutting
    ///   down;
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): the descriptor is a file, a device, a terminal, a listener or a
    ///   datagram socket, which have no peer that could leave;
    /// * an error of the operating system, for example because the limit of descriptors is reached.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::{CloseReason, WatchOnly};
    /// use tokio::net::UnixStream;
    ///
    /// let (ours, peer) = UnixStream::pair()?;
    /// let watch = WatchOnly::new(&ours)?;
    /// drop(peer);
    /// assert_eq!(watch.monitor().closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub fn new<S, By>(io: &S) -> io::Result<Self>
    where
        S: Watchable<By> + ?Sized,
    {
        Self::with_half_close(io, HalfClose::Close)
    }

    /// As [`new`](Self::new), with the meaning of a FIN.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); [`Unsupported`](io::ErrorKind::Unsupported) also for [`HalfClose::AllowFor`] in a
    /// runtime without a timer.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::{CloseReason, HalfClose, Status, WatchOnly};
    /// use tokio::io::AsyncWriteExt;
    /// use tokio::net::UnixStream;
    ///
    /// let (ours, mut peer) = UnixStream::pair()?;
    /// let watch = WatchOnly::with_half_close(&ours, HalfClose::Allow)?;
    /// let monitor = watch.monitor();
    /// peer.shutdown().await?; // it still reads
    /// assert_eq!(monitor.probe(), Status::PeerFinished);
    /// drop(peer);
    /// assert_eq!(monitor.closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub fn with_half_close<S, By>(io: &S, half_close: HalfClose) -> io::Result<Self>
    where
        S: Watchable<By> + ?Sized,
    {
        let timer = HalfCloseTimer::new(half_close)?;
        let (registration, shared) = BorrowedRegistration::new(io.descriptor(), half_close)?;
        if let Some(timer) = timer {
            timer.attach(&shared);
        }
        Ok(Self {
            registration: Some(registration),
            shared,
        })
    }

    /// A handle on the stream, for other tasks and threads.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::{CloseReason, WatchOnly};
    ///
    /// let (ours, _peer) = tokio::net::UnixStream::pair()?;
    /// let watch = WatchOnly::new(&ours)?;
    /// let monitor = watch.monitor();
    /// assert!(!monitor.is_closed());
    /// drop((watch, ours));
    /// assert_eq!(monitor.closed().await, CloseReason::Dropped);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.shared.clone())
    }
}

impl Drop for WatchOnly {
    fn drop(&mut self) {
        // The owner may have learned of the peer's end first, and the watcher has not had its turn.
        self.shared.examine(DetectedBy::Watcher);
        self.registration = None;
        self.shared.apply(Event::Dropped, DetectedBy::Us);
    }
}

impl fmt::Debug for WatchOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchOnly")
            .field("status", &self.shared.status())
            .finish()
    }
}
