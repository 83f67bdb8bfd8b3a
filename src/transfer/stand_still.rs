//! The timer of a direction that stands still.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// Detects that the remaining direction stands still.
pub(super) struct StandStill {
    period: Duration,
    /// The counters when the timer was set.
    before: (u64, u64),
    timer: Option<Pin<Box<Sleep>>>,
}

impl StandStill {
    pub(super) fn new(period: Duration) -> Self {
        Self {
            period,
            before: (0, 0),
            timer: None,
        }
    }

    /// Ready when nothing has moved for a period.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, moved: (u64, u64)) -> Poll<()> {
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
                if self.before == moved {
                    return Poll::Ready(());
                }
            }
            self.before = moved;
            self.timer = Some(Box::pin(tokio::time::sleep(self.period)));
        }
    }
}
