//! Peers that are connected and do not read what we send.
//!
//! There are two ways to measure. If the kernel reports how many bytes it holds for the peer, a task reads that number as
//! long as there are any: [`OwedWindow`](super::OwedWindow). Otherwise only pending calls show that the peer does not
//! read, and this file measures those.
//!
//! [`Drain`] decides, without a runtime or a clock. [`Stall`] gives it a clock, and a timer that exists only while a call
//! is pending.

use super::drain::{Drain, Reading, Step, Verdict};
use super::nobody::waits;
use super::stall_policy::StallPolicy;
use super::timer;
use crate::state::Event;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::coop;
use tokio::time::Sleep;

/// The policy of one stream, with its clock.
#[derive(Debug)]
pub(crate) struct Stall {
    drain: Drain,
    /// Whether to reset the connection of a peer that has stalled.
    pub(crate) reset: bool,
    /// The runtime whose timer is used.
    runtime: Handle,
    /// Whether a task measures what the kernel holds for the peer.
    is_attended: Arc<AtomicBool>,
    /// Such a task has run before.
    was_attended: AtomicBool,
    /// `Some` while a call is pending.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What the task needs that measures what the kernel holds for the peer.
pub(crate) struct Attendance {
    pub(crate) policy: StallPolicy,
    /// Whether to reset the connection of a peer that has stalled.
    pub(crate) reset: bool,
    /// The task clears it when it ends.
    pub(crate) is_attended: Arc<AtomicBool>,
    /// It is not the first such task of the stream.
    pub(crate) again: bool,
}

// A panic of the timer is caught, and the timer dropped with it.
impl UnwindSafe for Stall {}
impl RefUnwindSafe for Stall {}

impl Stall {
    /// The policy with the timer of the current runtime.
    pub(crate) fn new(policy: StallPolicy, reset: bool) -> io::Result<Self> {
        let runtime = timer::runtime("a stall policy")?;
        Ok(Self {
            drain: Drain::new(policy),
            reset,
            runtime,
            is_attended: Arc::default(),
            was_attended: AtomicBool::new(false),
            timer: None,
        })
    }

    /// The policy, and the runtime for a task that measures what the kernel holds; `None` if such a task runs already.
    pub(crate) fn attend(&self) -> Option<(Attendance, &Handle)> {
        // Mostly there is one. A load would be cheaper, and a processor may make it before the write that has just ended: then
        // it finds the task that is about to end, and the task does not find the bytes. Two swaps have one order.
        let attended = self.is_attended.swap(true, AcqRel);
        (!attended).then(|| {
            let attendance = Attendance {
                policy: self.drain.policy,
                reset: self.reset,
                is_attended: self.is_attended.clone(),
                again: self.was_attended.swap(true, Relaxed),
            };
            (attendance, &self.runtime)
        })
    }

    /// The length of a window.
    pub(crate) fn window(&self) -> Duration {
        self.drain.policy.window()
    }

    /// `step` is done: the timer stops.
    #[inline]
    pub(crate) fn done(&mut self, step: Step) {
        if self.timer.is_some() {
            self.disarm(step);
        }
    }

    #[cold]
    fn disarm(&mut self, step: Step) {
        if self.drain.done(step, now()) {
            self.timer = None;
        }
    }

    /// `step` is pending: the timer wakes the task for the next reading. Returns the event that ends the stream, if
    /// there is one. `read` returns what the peer has taken so far.
    pub(crate) fn pending<R: Into<Reading>>(
        &mut self,
        step: Step,
        cx: &mut Context<'_>,
        read: impl Fn() -> R,
    ) -> Option<Event> {
        // Without budget the call is pending because of tokio's cooperative scheduling, and the task is woken at once.
        if !coop::has_budget_remaining() {
            return None;
        }
        loop {
            let Verdict::Until(next) = self.drain.pending(step, now(), || read().into()) else {
                self.timer = None;
                return Some(Event::Stalled);
            };
            // tokio's timer panics once its runtime is gone. The watcher may be about to report that too.
            match catch_unwind(AssertUnwindSafe(|| self.wait(next, cx))) {
                Ok(Poll::Pending) => return None,
                Ok(Poll::Ready(())) => {}
                Err(_) => {
                    self.timer = None;
                    return Some(Event::RuntimeShutdown);
                }
            }
        }
    }

    fn wait(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let until = tokio::time::Instant::from_std(until);
        let is_armed = self.timer.is_some();
        let timer = self.timer.get_or_insert_with(|| {
            let _context = self.runtime.enter();
            Box::pin(tokio::time::sleep_until(until))
        });
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        // It wakes the task of the pending call. One that has fired wakes nobody any more.
        if is_armed && !waits(cx.waker()) && !timer.is_elapsed() {
            return Poll::Pending;
        }
        timer.as_mut().poll(cx)
    }
}

/// The time of tokio's clock, which a test can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
