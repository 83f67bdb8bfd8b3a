//! What the handles and the tokens of a grace period share, and how the period starts and ends.

use super::handle::Monitor;
use crate::policy::timer;
use crate::state::Closed;
use crate::state::sync::{Mutex, MutexGuard, lock};
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use tokio::runtime;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// A grace period. All its handles and tokens share one; its drop ends the period.
///
/// The wakers of the connections know [`Shared`] alone, so that they do not keep the period.
pub(super) struct GracePeriod(Arc<Shared>);

impl GracePeriod {
    /// # Errors
    ///
    /// If there is no runtime with a timer.
    pub(super) fn new(monitor: &Monitor, period: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            period,
            runtime: timer::runtime("a period of grace")?,
            token: CancellationToken::new(),
            state: Mutex::default(),
        });
        shared.lock().open = 1;
        attend(&shared, monitor);
        Ok(Self(shared))
    }

    pub(super) fn child_token(&self) -> CancellationToken {
        self.0.token.child_token()
    }

    /// Adds the connection of `monitor`. `false` if the period is over.
    pub(super) fn resume(&self, monitor: &Monitor) -> bool {
        let mut state = self.0.lock();
        if state.over {
            return false;
        }
        state.open += 1;
        state.resumed += 1;
        let ending = state.ending.take();
        drop(state);
        if let Some(ending) = ending {
            ending.abort();
        }
        attend(&self.0, monitor);
        true
    }

    pub(super) fn end(&self) {
        self.0.end();
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.lock().over
    }
}

impl Drop for GracePeriod {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl fmt::Debug for GracePeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Grace")
            .field("period", &self.0.period)
            .field("open", &state.open)
            .field("over", &state.over)
            .finish()
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Cancels the token, and leaves nothing behind: no waker in a connection, and no task.
    fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        let ending = state.ending.take();
        let attended = mem::take(&mut state.attended);
        // To drop them takes the locks of the connections.
        drop(state);
        drop(attended);
        if let Some(ending) = ending {
            ending.abort();
        }
        self.token.cancel();
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
