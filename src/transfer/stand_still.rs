//! The timer of a direction that stands still.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// Detects that the remaining direction stands still.
pub(super) struct StandStill<T> {
    period: Duration,
    /// The counters when the timer was set.
    before: Option<T>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T: PartialEq> StandStill<T> {
    pub(super) fn new(period: Duration) -> Self {
        Self {
            period,
            before: None,
            timer: None,
        }
    }

    /// Ready when nothing has moved for a period. `moved` reads the counters, which may be a question to the kernel.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, moved: impl Fn() -> T) -> Poll<()> {
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
            }
            let now = Some(moved());
            if self.before == now {
                return Poll::Ready(());
            }
            self.before = now;
            self.timer = Some(Box::pin(tokio::time::sleep(self.period)));
        }
    }
}
