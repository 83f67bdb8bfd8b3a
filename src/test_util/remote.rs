//! The peer that a test controls.

use crate::errors::CloseReason;
use crate::state::{DetectedBy, Event};
use crate::watcher::Socket;
use std::fmt;
use std::sync::Arc;

/// The peer of a scripted stream, controlled by the test: see [`test_util`](crate::test_util).
///
/// Dropping it does nothing. A clone can disconnect from another task, for example after some time:
///
/// ```
/// use hangup::test_util::scripted;
/// use hangup::CloseReason;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let (stream, remote) = scripted(tokio::io::duplex(64).0);
/// tokio::spawn(async move {
///     tokio::time::sleep(Duration::from_secs(3600)).await;
///     remote.hang_up(CloseReason::TimedOut);
/// });
/// assert_eq!(stream.closed().await, CloseReason::TimedOut); // at once: the clock is paused
/// # }
/// ```
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Socket>,
}

impl Remote {
    pub(super) fn new(shared: Arc<Socket>) -> Self {
        Self { shared }
    }

    /// Closes the stream with `reason`, as the watcher would. The first reason wins, so a second call does nothing.
    ///
    /// The tasks that wait for the close are woken before it returns. [`PeerClosed`](CloseReason::PeerClosed) after the
    /// stream's own shutdown becomes [`Finished`](CloseReason::Finished), as with a FIN.
    ///
    /// Reads continue, as after a real close, until the wrapped stream ends them. To end the reads of a `duplex`, drop its
    /// other side.
    ///
    /// ```
    /// use hangup::{CloseReason, Monitor};
    ///
    /// let (monitor, remote) = Monitor::for_test();
    /// remote.hang_up(CloseReason::Reset);
    /// remote.hang_up(CloseReason::PeerClosed);
    /// assert_eq!(monitor.close_reason(), Some(CloseReason::Reset));
    /// ```
    pub fn hang_up(&self, reason: CloseReason) {
        let event = match reason {
            CloseReason::PeerClosed => Event::HungUp,
            reason => Event::Failed(reason),
        };
        self.shared.observe(event, DetectedBy::Signal);
    }

    /// Half-closes the connection, as by a FIN of a peer that may still read. [`HalfClose`](crate::HalfClose) decides what
    /// it means; by default it closes the stream.
    ///
    /// ```
    /// use hangup::test_util::scripted_with_config;
    /// use hangup::{HalfClose, MonitorConfig, Status};
    ///
    /// let config = MonitorConfig::new().half_close(HalfClose::Allow);
    /// let (stream, remote) = scripted_with_config(tokio::io::empty(), &config);
    /// remote.half_close();
    /// assert_eq!(stream.monitor().status(), Status::PeerFinished);
    /// ```
    pub fn half_close(&self) {
        self.shared.observe(Event::Fin, DetectedBy::Signal);
    }

    /// Acknowledges the first `bytes` bytes that the stream accepts, as the peer's TCP does: they have reached its system.
    ///
    /// [`Transfer::acknowledged`](crate::Transfer::acknowledged) is unknown before the first call. Afterwards it is the highest number that was given, or the number of accepted bytes if that is
    /// smaller. Nobody is woken, because no system reports an acknowledgement: it is asked for.
    ///
    /// ```
    /// use hangup::test_util::scripted;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (io, _bytes) = tokio::io::duplex(64);
    /// let (mut stream, remote) = scripted(io);
    /// let monitor = stream.monitor();
    /// stream.write_all(b"door 7 opened").await?;
    /// assert_eq!(monitor.transfer().acknowledged, None);
    /// remote.acknowledge(4);
    /// assert_eq!(monitor.transfer().acknowledged, Some(4));
    /// remote.acknowledge(13);
    /// monitor.wait_acknowledged().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn acknowledge(&self, bytes: u64) {
        self.shared.acknowledge(bytes);
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("status", &self.shared.status())
            .finish()
    }
}
