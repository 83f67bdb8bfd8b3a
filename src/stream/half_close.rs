//! The timer of a half-close: [`HalfClose::AllowFor`](crate::HalfClose::AllowFor).

use crate::monitor::Monitor;
use crate::policy::timer;
use crate::state::HalfClose;
use crate::watcher::Socket;
use std::io;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::Duration;
use tokio::runtime::Handle;

/// Closes a half-closed stream when no bytes move. It costs nothing until the peer has finished.
pub(super) struct HalfCloseTimer {
    period: Duration,
    runtime: Handle,
}

impl HalfCloseTimer {
    /// The timer for `half_close`, with the clock of the present runtime; `None` if it needs none.
    pub(super) fn new(half_close: HalfClose) -> io::Result<Option<Self>> {
        match half_close {
            HalfClose::AllowFor(period) if !period.is_zero() => Ok(Some(Self {
                period,
                runtime: timer::runtime("`HalfClose::AllowFor`")?,
            })),
            _ => Ok(None),
        }
    }

    /// Makes the timer start when the peer of the stream has finished.
    pub(super) fn attach(self, shared: &Arc<Socket>) {
        let start = Start {
            timer: self,
            shared: Arc::downgrade(shared),
        };
        shared.on_half_close(Waker::from(Arc::new(start)));
    }
}

/// The waker that starts the timer. It has a weak handle, because the shared state owns the waker.
struct Start {
    timer: HalfCloseTimer,
    shared: Weak<Socket>,
}

impl Wake for Start {
    fn wake(self: Arc<Self>) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let monitor = Monitor::new(shared);
        let period = self.timer.period;
        self.timer.runtime.spawn(async move {
            loop {
                let before = monitor.moved();
                let pause = tokio::time::sleep(period);
                if monitor.run_until_closed(pause).await.is_err() {
                    return;
                }
                if monitor.moved() == before {
                    return monitor.end_half_close();
                }
            }
        });
    }
}
