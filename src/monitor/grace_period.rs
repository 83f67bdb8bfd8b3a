//! The state that the handles and the tokens of a grace period share, and how the period starts and ends.

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

/// A grace period. All its handles and tokens share one value, and its drop ends the period.
///
/// The wakers in the connections hold [`Shared`] only, so they do not keep the period alive.
pub(super) struct GracePeriod(Arc<Shared>);

impl GracePeriod {
    /// # Errors
    ///
    /// If there is no runtime with a timer.
    pub(super) fn new(monitor: &Monitor, period: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            period,
            runtime: timer::runtime("a grace period")?,
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
    /// The close futures of the open connections, each with a waker of ours. Dropping one removes its waker from the
    /// connection.
    attended: Vec<Closed>,
    /// How often a client has reconnected. The timer of an earlier period has no effect.
    resumed: u64,
    /// The task that waits for the end of the period.
    ending: Option<AbortHandle>,
    /// The period is over, so that nothing can be resumed.
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
        // Dropping them takes the locks of the connections, so ours is released first.
        drop(state);
        drop(attended);
        if let Some(ending) = ending {
            ending.abort();
        }
        self.token.cancel();
    }

    /// One of the connections has closed.
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
        // A runtime that has shut down drops the task immediately, and the drop of `end` takes the lock.
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

/// Ends the period when it is dropped: after the timer, or when the runtime shuts down.
struct End {
    shared: Arc<Shared>,
    /// The count at the start of the period. If a client has reconnected since, the drop has no effect.
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

/// The waker that waits for the close of one connection. It is woken once.
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
