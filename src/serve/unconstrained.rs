//! Time limits that do not depend on tokio's cooperative budget.
//!
//! A task may use up to 128 results of tokio's before it has to let others run, and until then nothing more is ready for it, no
//! timer either. A client can see to it that its task never has budget left when it looks at its timers: over TLS it sends
//! records without data as fast as the server decrypts them, and each read takes one of the 128.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep};

/// Calls `poll` as if the task had its whole budget.
pub(super) fn unconstrained<T>(
    cx: &mut Context<'_>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    pin!(tokio::task::unconstrained(poll_fn(poll))).poll(cx)
}

/// Whether the time of `timer` has come. Otherwise it wakes the task.
pub(super) fn is_due(mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> bool {
    // A busy runtime looks at its timers seldom, so a busy task looks at the clock.
    unconstrained(cx, |cx| timer.as_mut().poll(cx)).is_ready()
        || !has_budget_remaining() && Instant::now() >= timer.deadline()
}
