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
/// The handle is cloneable, and keeps no connection open. Its tokens are handles too: a [`GraceToken`] fires after the
/// period when all handles are dropped. The drop of the last handle and the last token ends the period.
///
/// # What it costs
///
/// While a connection is open: no task and no timer, and some 400 bytes until [`end`](Self::end) is called, the last
/// handle and the last token are dropped, or the period is over. During the period: one task.
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
pub struct Grace {
    period: Arc<GracePeriod>,
}

impl Monitor {
    /// Starts a grace period of `period` when the stream closes: see [`Grace`].
    ///
    /// # Errors
    ///
    /// * [`NotConnected`](std::io::ErrorKind::NotConnected): this is not called in a runtime;
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
    /// Each call returns a child token: cancelling it affects only what is derived from it. A [`GraceToken`] keeps the
    /// period as a handle does.
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
    /// token.cancelled().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancellation_token(&self) -> GraceToken {
        GraceToken::new(self.period.child_token(), self.period.clone())
    }

    /// Adds the connection of `monitor`. A period that has started stops.
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
    /// Use it for a client that says that it will not come back.
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

    /// Whether the token was cancelled, so that it is too late to resume.
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

/// The client came back when the period of [`Grace`] was over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraceExpired;

impl fmt::Display for GraceExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the period of grace is over")
    }
}

impl Error for GraceExpired {}
