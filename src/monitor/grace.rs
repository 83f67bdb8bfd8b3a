//! Work that outlives its connection for a while, because the client may reconnect to it.

use super::handle::Monitor;
use crate::policy::timer;
use crate::state::Closed;
use crate::state::sync::{Mutex, MutexGuard, lock};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use tokio::runtime;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// A grace period: its token is cancelled some time after the connection closes, unless the client reconnects.
/// Returned by [`Monitor::grace_period`].
///
/// Use it for work whose result a client may fetch over another connection: a stream that can be resumed
/// (`Last-Event-ID`), a session, a long generation. Keep it where the reconnecting request finds it, for example in a
/// map of sessions, and [`resume`](Self::resume) it with the monitor of the new connection. The period starts when the
/// last of its connections closes, so a client that reconnects before its old connection is known to be closed loses
/// nothing. It may reconnect any number of times.
///
/// The handle is cloneable, and keeps no connection open. When all handles are dropped the tokens that were
/// handed out fire all the same, after the period.
///
/// # What it costs
///
/// While a connection is open: no task and no timer, and some 300 bytes until [`end`](Self::end) is called or
/// the connection closes. On a connection that serves many requests, call `end` when the work is done. Where
/// no token was handed out, the drop of the last handle does the same. During the period: one task.
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
    handle: Arc<Handle>,
}

/// What the clones of a [`Grace`] share. The wakers of the connections know `shared` alone.
struct Handle {
    shared: Arc<Shared>,
    /// A token was handed out, and somebody may wait for it.
    is_awaited: AtomicBool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !*self.is_awaited.get_mut() {
            let attended = mem::take(&mut self.shared.lock().attended);
            drop(attended);
        }
    }
}

struct Shared {
    period: Duration,
    runtime: runtime::Handle,
    token: CancellationToken,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many of its connections are open.
    open: usize,
    /// Their closes, each with a waker of ours. The drop of one takes its waker out of the connection's list.
    attended: Vec<Closed>,
    /// Counts the times that a client has come back: an older period's end means nothing.
    resumed: u64,
    /// The task that waits for the end of the period.
    ending: Option<AbortHandle>,
    /// The period is over, or somebody has ended it: nothing can be resumed.
    over: bool,
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
        let shared = Arc::new(Shared {
            period,
            runtime: timer::runtime("a period of grace")?,
            token: CancellationToken::new(),
            state: Mutex::default(),
        });
        shared.lock().open = 1;
        attend(&shared, monitor);
        Ok(Self {
            handle: Arc::new(Handle {
                shared,
                is_awaited: AtomicBool::new(false),
            }),
        })
    }

    /// A token that is cancelled at the end of the period.
    ///
    /// Each call returns a child token: cancelling it affects only what is derived from it.
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
    pub fn cancellation_token(&self) -> CancellationToken {
        self.handle.is_awaited.store(true, Relaxed);
        self.handle.shared.token.child_token()
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
        let mut state = self.handle.shared.lock();
        if state.over {
            return Err(GraceExpired);
        }
        state.open += 1;
        state.resumed += 1;
        let ending = state.ending.take();
        drop(state);
        if let Some(ending) = ending {
            ending.abort();
        }
        attend(&self.handle.shared, monitor);
        Ok(())
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
        let mut state = self.handle.shared.lock();
        state.over = true;
        let ending = state.ending.take();
        let attended = mem::take(&mut state.attended);
        // To drop them takes the locks of the connections.
        drop(state);
        drop(attended);
        if let Some(ending) = ending {
            ending.abort();
        }
        self.handle.shared.token.cancel();
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
        self.handle.shared.lock().over
    }
}

impl fmt::Debug for Grace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.handle.shared.lock();
        f.debug_struct("Grace")
            .field("period", &self.handle.shared.period)
            .field("open", &state.open)
            .field("over", &state.over)
            .finish()
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// One of the connections is over.
    fn lost(self: &Arc<Self>) {
        let mut state = self.lock();
        state.open -= 1;
        state.attended.retain(|closed| !closed.is_over());
        if state.open > 0 || state.over {
            return;
        }
        let period = self.period;
        let end = End {
            shared: self.clone(),
            resumed: state.resumed,
        };
        let resumed = state.resumed;
        // A runtime that is gone drops the task at once, and the end takes the lock.
        drop(state);
        let task = self.runtime.spawn(async move {
            tokio::time::sleep(period).await;
            drop(end);
        });
        let mut state = self.lock();
        if state.resumed == resumed && !state.over {
            state.ending = Some(task.abort_handle());
        } else {
            drop(state);
            task.abort();
        }
    }
}

/// The end of a period. It comes when this is dropped: also if the runtime goes first.
struct End {
    shared: Arc<Shared>,
    /// What the count was when the period began. If a client has come back since, the end means nothing.
    resumed: u64,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.resumed != self.resumed || state.over {
            return;
        }
        state.over = true;
        drop(state);
        self.shared.token.cancel();
    }
}

/// The waker of one connection's close: it is woken once, by the close.
struct Attendance(Arc<Shared>);

impl Wake for Attendance {
    fn wake(self: Arc<Self>) {
        self.0.lost();
    }
}

fn attend(shared: &Arc<Shared>, monitor: &Monitor) {
    let waker = Waker::from(Arc::new(Attendance(shared.clone())));
    let mut closed = monitor.closed();
    let polled = Pin::new(&mut closed).poll(&mut Context::from_waker(&waker));
    if polled.is_ready() {
        return shared.lost();
    }
    let mut state = shared.lock();
    // The connection may have closed, or the period may have ended, since the poll.
    if !state.over && !closed.is_over() {
        state.attended.push(closed);
    }
}
