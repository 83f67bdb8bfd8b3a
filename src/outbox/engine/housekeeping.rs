//! What the task sees to whether or not there is a connection: times that run out, and the status.

use super::shared::Shared;
use super::state::{After, Core, Phase};
use crate::outbox::Message;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// The counts are told at most this often: ten times a second is more than a person follows.
const TELL: Duration = Duration::from_millis(100);

/// While nothing changes the age of the oldest message is told this often.
const AGE: Duration = Duration::from_secs(1);

/// What has expired is looked for at most this often while nothing is written: a look goes through all
/// that waits to be written.
const SWEEP: Duration = Duration::from_millis(10);

/// Why the task is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is shut down, and nothing is left.
    Drained,
    /// It is shut down, and its time is over.
    Late,
    /// It was ended from elsewhere.
    Over,
}

/// The task's timer, and what it is set for.
pub(crate) struct House {
    timer: Pin<Box<Sleep>>,
    set: Option<Instant>,
    told: Instant,
    swept: Instant,
}

impl House {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            timer: Box::pin(tokio::time::sleep_until(now)),
            set: None,
            told: now - TELL,
            swept: now - SWEEP,
        }
    }

    /// Ready when the task is to stop; until then it is woken for what there is to do, and at `at`. If it is
    /// `hungry`, by any message.
    pub(crate) fn poll<T: Message>(
        &mut self,
        shared: &Shared<T>,
        after: &mut After<T>,
        hungry: bool,
        at: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Stop> {
        loop {
            let now = Instant::now();
            let mut core = shared.lock();
            if let Some(stop) = stop(&core, now) {
                return Poll::Ready(stop);
            }
            let mut expiry = core
                .buffer
                .next_expiry()
                .and_then(|nanos| shared.time(nanos));
            if expiry.is_some_and(|expiry| expiry <= now && self.swept + SWEEP <= now) {
                self.swept = now;
                let nanos = shared.nanos(now);
                core.settle(after, None, |buffer, mut settle| {
                    buffer.expire(nanos, &mut settle)
                });
                expiry = core
                    .buffer
                    .next_expiry()
                    .and_then(|nanos| shared.time(nanos));
            }
            let expiry = expiry.map(|expiry| expiry.max(self.swept + SWEEP));
            let watched = shared.is_watched();
            let changed = core.changed;
            let told = match (watched, core.changed, core.buffer.is_empty()) {
                (true, true, _) => Some(self.told + TELL),
                (true, false, false) => Some(self.told + AGE),
                (true, false, true) | (false, ..) => None,
            };
            if told.is_some_and(|told| told <= now) {
                self.told = now;
                drop(core);
                after.run();
                shared.tell();
                continue;
            }
            let drained = match core.phase {
                Phase::Draining(deadline) => Some(deadline),
                Phase::Open | Phase::Over(_) => None,
            };
            let next = [at, expiry, told, drained].into_iter().flatten().min();
            let task = &mut core.task;
            task.hungry = hungry || (watched && !changed);
            task.armed = next.map_or(u64::MAX, |next| shared.nanos(next));
            if !task
                .waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                task.waker = Some(cx.waker().clone());
            }
            // A message may have come since the caller has looked.
            let more = hungry && core.has_more();
            drop(core);
            after.run();
            if more {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Some(next) = next else {
                self.set = None;
                return Poll::Pending;
            };
            if self.set != Some(next) {
                self.timer.as_mut().reset(next);
                self.set = Some(next);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.set = None;
            if at.is_some_and(|at| at <= Instant::now()) {
                // The caller has something to do.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

fn stop<T: Message>(core: &Core<T>, now: Instant) -> Option<Stop> {
    match core.phase {
        Phase::Open => None,
        Phase::Draining(_) if core.buffer.is_empty() => Some(Stop::Drained),
        Phase::Draining(deadline) if deadline <= now => Some(Stop::Late),
        Phase::Draining(_) => None,
        Phase::Over(_) => Some(Stop::Over),
    }
}
