//! Work that outlives its connection for a while, because the client may reconnect to it.

use super::grace_period::GracePeriod;
use super::grace_token::GraceToken;
use super::handle::Monitor;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A grace period: its token is cancelled some time after the connection closes, unless the client reconnects.
/// Returned by [`Monitor::grace_period`].
///
/// Use it for work whose result a client may fetch over another connection: a stream that can be resumed
/// (`Last-Event-ID`), a session, a long generation. Keep it where the reconnecting request finds it, for example in a
/// map of sessions, and [`resume`](Self::resume) it with the monitor of the new connection. The period starts when the
/// last of its connections closes, so a client that reconnects before its old connection is known to be closed loses
/// nothing. It may reconnect any number of times.
///
/// # How a period ends
///
/// | event | the token | [`resume`](Self::resume) afterwards |
/// |---|---|---|
/// | all connections are closed for the whole period | is cancelled | fails |
/// | the client reconnects within the period | stays | succeeds; the next close starts a full period |
/// | [`end`](Self::end) is called | is cancelled at once | fails |
/// | the last handle and the last [`GraceToken`] are dropped | is cancelled at once | no handle is left |
/// | the runtime shuts down during the period | is cancelled at once | fails |
///
/// A handle keeps no connection open. A [`GraceToken`] keeps the period alive in the same way as a handle does, so the
/// work may hold the token alone.
///
/// # What it costs
///
/// While a connection is open, it needs no task and no timer, and some 400 bytes. During the period it needs one task
/// with a timer. After the end of the period only the handles are left.
///
/// ```
/// use hangup::MonitoredStream;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let grace = stream.monitor().grace_period(Duration::from_secs(30))?;
/// let token = grace.cancellation_token();
///
/// drop(stream); // the client loses its network
/// tokio::time::sleep(Duration::from_secs(20)).await;
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// grace.resume(&stream.monitor())?;
/// tokio::time::sleep(Duration::from_secs(20)).await;
/// assert!(!token.is_cancelled());
///
/// drop(stream); // and does not come back
/// token.cancelled().await;
/// assert!(grace.resume(&MonitoredStream::unwatched(tokio::io::duplex(64).0).monitor()).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "the drop of the last handle and the last token ends the grace period"]
pub struct Grace {
    period: Arc<GracePeriod>,
}

impl Monitor {
    /// Starts a grace period of `period` when the stream closes: see [`Grace`].
    ///
    /// # Errors
    ///
    /// * [`NotConnected`](std::io::ErrorKind::NotConnected): it was not called in a runtime;
    /// * [`Unsupported`](std::io::ErrorKind::Unsupported): the runtime was built without a timer.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> std::io::Result<()> {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let grace = stream.monitor().grace_period(Duration::from_secs(30))?;
    /// drop(stream);
    /// // The token is cancelled 30 s after the close.
    /// assert!(!grace.is_over());
    /// grace.cancellation_token().cancelled().await;
    /// assert!(grace.is_over());
    /// # Ok(())
    /// # }
    /// ```
    pub fn grace_period(&self, period: Duration) -> io::Result<Grace> {
        Grace::new(self, period)
    }
}

impl Grace {
    pub(crate) fn new(monitor: &Monitor, period: Duration) -> io::Result<Self> {
        let period = GracePeriod::new(monitor, period)?;
        Ok(Self {
            period: Arc::new(period),
        })
    }

    /// A token that is cancelled at the end of the period.
    ///
    /// Each call returns a child token, so cancelling it affects only the tokens that are derived from it. A
    /// [`GraceToken`] keeps the period alive, as a handle does.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> std::io::Result<()> {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let grace = stream.monitor().grace_period(Duration::from_secs(30))?;
    /// let token = grace.cancellation_token();
    /// drop(stream);
    /// token.cancelled().await; // 30 s later
    /// assert!(grace.is_over());
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancellation_token(&self) -> GraceToken {
        GraceToken::new(self.period.child_token(), self.period.clone())
    }

    /// Adds the connection of `monitor`. If the period is running, it stops.
    ///
    /// The connections that were added before still count: the period starts again when the last of them closes. If
    /// the new connection has already closed, the period starts at once.
    ///
    /// # Errors
    ///
    /// [`GraceExpired`]: the period is over, and the token was cancelled.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> std::io::Result<()> {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let grace = stream.monitor().grace_period(Duration::from_secs(30))?;
    /// drop(stream);
    /// let again = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// grace.resume(&again.monitor()).unwrap();
    /// tokio::time::sleep(Duration::from_secs(60)).await;
    /// assert!(!grace.is_over());
    /// # Ok(())
    /// # }
    /// ```
    pub fn resume(&self, monitor: &Monitor) -> Result<(), GraceExpired> {
        if self.period.resume(monitor) {
            Ok(())
        } else {
            Err(GraceExpired)
        }
    }

    /// Ends the period now: the token is cancelled, and nothing can be resumed.
    ///
    /// Use it when the client says that it will not come back, for example when a user logs out.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> std::io::Result<()> {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let grace = stream.monitor().grace_period(Duration::from_secs(30))?;
    /// let token = grace.cancellation_token();
    /// grace.end();
    /// assert!(token.is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub fn end(&self) {
        self.period.end();
    }

    /// Whether the period is over, so that [`resume`](Self::resume) fails.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> std::io::Result<()> {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let grace = stream.monitor().grace_period(Duration::from_secs(30))?;
    /// assert!(!grace.is_over());
    /// grace.end();
    /// assert!(grace.is_over());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_over(&self) -> bool {
        self.period.is_over()
    }
}

impl fmt::Debug for Grace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.period.fmt(f)
    }
}

/// The error of [`Grace::resume`] after the end of the period.
///
/// ```
/// use hangup::{GraceExpired, MonitoredStream};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let first = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let grace = first.monitor().grace_period(Duration::from_secs(5)).unwrap();
/// drop(first);
/// tokio::time::sleep(Duration::from_secs(6)).await;
///
/// // The client comes back too late: its work has been dropped.
/// let second = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let error: GraceExpired = grace.resume(&second.monitor()).unwrap_err();
/// assert_eq!(error.to_string(), "the grace period is over");
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraceExpired;

impl fmt::Display for GraceExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the grace period is over")
    }
}

impl Error for GraceExpired {}
