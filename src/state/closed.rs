//! The future that resolves when a stream closes.

use super::keyed_list::Key;
use super::shared::{AnyState, SharedState};
use crate::errors::CloseReason;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Future of [`MonitoredStream::closed`](crate::MonitoredStream::closed) and
/// [`Monitor::closed`](crate::Monitor::closed).
///
/// It resolves to the [`CloseReason`]. If the stream has already closed, it resolves immediately. If it is polled again, it
/// returns the same reason. Dropping the stream resolves it with [`CloseReason::Dropped`], so it never waits forever.
///
/// It borrows nothing, keeps no socket open, and can be moved to any task or thread. It needs no runtime: any executor
/// can poll it.
///
/// # Cancel safety
///
/// Cancel safe: it may be dropped and created again at any time without losing an event. In a loop around `select!` it
/// is cheaper to create it once and to pass `&mut closed`.
///
/// ```
/// use hangup::{CloseReason, MonitoredStream};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let mut closed = stream.closed();
/// let mut ticks = 0;
/// let mut clock = tokio::time::interval(Duration::from_secs(1));
/// let reason = loop {
///     tokio::select! {
///         reason = &mut closed => break reason,
///         _ = clock.tick() => ticks += 1, // does not cost a registration for each tick
///     }
///     if ticks == 3 {
///         stream.abort();
///     }
/// };
/// assert_eq!((reason, ticks), (CloseReason::Aborted, 3));
/// # }
/// ```
///
/// # If it does not resolve
///
/// The client seems to be gone, and this future still waits:
///
/// | cause | how it shows | what helps |
/// |---|---|---|
/// | The client has ended, and a process that it started has a copy of the socket. The FIN is sent when the last copy is closed (close(2)) | `ss -tp` on the client's machine names the other process | only the client can close it |
/// | A proxy, a tunnel or a port forwarder stands between, and keeps its own connection to us | `ss -tn` names its address as the peer | the timeouts of that program, or a [stall policy](crate::StallPolicy) |
/// | The client's machine has lost power or network, so nothing is sent | [`probe`](crate::Monitor::probe) returns `Open` | [`dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout) |
/// | The FIN waits behind more unread input than the receive buffer holds | `ss -tn` shows a large `Recv-Q` on our machine | read, or set [`read_ahead`](crate::MonitorConfig::read_ahead) |
/// | Half-closes are [allowed](crate::HalfClose::Allow) | [`status`](crate::Monitor::status) is `PeerFinished` | [`HalfClose::AllowFor`](crate::HalfClose::AllowFor) |
/// | Every worker thread of the runtime computes or blocks, or nobody drives a current-thread runtime | [`probe`](crate::Monitor::probe) returns `Closed` | [`spawn_blocking`](tokio::task::spawn_blocking); `block_on` for a current-thread runtime |
/// | The stream is [unwatched](crate::MonitoredStream::unwatched), and nobody reads or writes it | its next read or write returns the end | [`new`](crate::MonitoredStream::new), or [`with_signal`](crate::MonitoredStream::with_signal) |
///
/// The first case, with both ends in one process:
///
/// ```
/// use hangup::{CloseReason, MonitoredStream, Status};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let client = std::net::TcpStream::connect(listener.local_addr()?)?;
/// let copy = client.try_clone()?; // as a child process inherits it
/// let stream = MonitoredStream::new(listener.accept().await?.0)?;
///
/// drop(client);
/// assert_eq!(stream.monitor().probe(), Status::Open); // no FIN was sent
/// drop(copy);
/// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Closed {
    shared: Arc<AnyState>,
    /// The position of our waker in the list of the state.
    key: Option<Key>,
}

impl Closed {
    pub(crate) fn new(shared: Arc<AnyState>) -> Self {
        Self { shared, key: None }
    }

    fn state(&self) -> &SharedState {
        (*self.shared).as_ref()
    }

    /// Whether the stream has closed. One atomic load.
    pub(crate) fn is_over(&self) -> bool {
        self.state().is_closed()
    }

    /// The reason, if the stream has closed. One atomic load while it is open.
    #[cfg(feature = "codec")]
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        self.state().close_reason()
    }
}

impl Future for Closed {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = &mut *self;
        (*this.shared)
            .as_ref()
            .poll_closed(&mut this.key, cx.waker())
    }
}

impl Clone for Closed {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.state().forget(key);
        }
    }
}

impl fmt::Debug for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed")
            .field("reason", &self.state().close_reason())
            .finish()
    }
}
