//! What the task does whether or not there is a connection: times that run out, the store, and the status.

use super::core::{Core, Deferred, Phase};
use super::shared::OutboxShared;
use super::store_writer::StoreWriter;
use crate::outbox::message::Message;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// The counts are published at most this often: ten times a second is more than a person can follow.
const PUBLISH: Duration = Duration::from_millis(100);

/// While nothing changes, the age of the oldest message is published this often.
const AGE: Duration = Duration::from_secs(1);

/// Expired messages are looked for at most this often while nothing is written, because the search visits every
/// message.
const SWEEP: Duration = Duration::from_millis(10);

/// A sender that was granted room and does not take it is passed over after this time.
const PATIENCE: Duration = Duration::from_millis(20);

/// Why the task leaves what it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// The outbox is shut down, and nothing is left.
    Drained,
    /// The outbox is shut down, and its time is over; or it was ended from elsewhere.
    Over,
    /// A handle asked for a new connection.
    Reconnect,
}

/// The task's timer, and what it is set for.
pub(crate) struct Housekeeping<T: Message> {
    timer: Pin<Box<Sleep>>,
    set: Option<Instant>,
    published: Instant,
    swept: Instant,
    /// If the task calls the store.
    writer: Option<StoreWriter<T>>,
}

impl<T: Message> Housekeeping<T> {
    pub(crate) fn new(writer: Option<StoreWriter<T>>) -> Self {
        let now = Instant::now();
        Self {
            timer: Box::pin(tokio::time::sleep_until(now)),
            set: None,
            published: now - PUBLISH,
            swept: now - SWEEP,
            writer,
        }
    }

    /// Ready when the task is to leave what it is doing. Until then the task is woken for what there is to do, and
    /// at `at`; by any message if it `wants_messages`.
    pub(crate) fn poll(
        &mut self,
        shared: &OutboxShared<T>,
        deferred: &mut Deferred<T>,
        wants_messages: bool,
        at: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Interrupt> {
        loop {
            let now = Instant::now();
            let stored = self.writer.as_mut().and_then(|writer| writer.step(now));
            let mut core = shared.lock();
            core.now = shared.nanos(now);
            if let Some(interrupt) = interrupt(&mut core, now) {
                return Poll::Ready(interrupt);
            }
            let now_nanos = core.now;
            let Core {
                backlog,
                buffer,
                store,
                ..
            } = &mut *core;
            if let Some(store) = store
                && let Some(page) = backlog.next_page(buffer, now_nanos)
            {
                store.load(page);
                if store.on_task {
                    continue;
                }
            }
            let reload = core.backlog.retry.filter(|&retry| retry > now_nanos);
            let reload = reload.and_then(|retry| shared.time(retry));
            let expiry = self.sweep(shared, &mut core, deferred, now);
            let passed = pass_on(shared, &mut core, deferred);
            let watched = shared.is_watched();
            let changed = core.changed;
            let publish = match (watched, changed, core.is_empty()) {
                (true, true, _) => Some(self.published + PUBLISH),
                (true, false, false) => Some(self.published + AGE),
                (true, false, true) | (false, ..) => None,
            };
            if publish.is_some_and(|publish| publish <= now) {
                self.published = now;
                drop(core);
                deferred.run();
                shared.publish();
                continue;
            }
            let drained = match core.phase {
                Phase::Draining(deadline) => Some(deadline),
                Phase::Open | Phase::Suspended(_) | Phase::Over(_) => None,
            };
            let times = [at, expiry, publish, drained, stored, passed, reload];
            let next = times.into_iter().flatten().min();
            let task = &mut core.task;
            task.wants_messages = wants_messages || (watched && !changed);
            task.armed = next.map_or(u64::MAX, |next| shared.nanos(next));
            if !task
                .waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                task.waker = Some(cx.waker().clone());
            }
            // A message may have come since the caller has looked.
            let more = wants_messages && core.has_more();
            drop(core);
            deferred.run();
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

    /// Settles what has expired. Returns when something may expire next.
    fn sweep(
        &mut self,
        shared: &OutboxShared<T>,
        core: &mut Core<T>,
        deferred: &mut Deferred<T>,
        now: Instant,
    ) -> Option<Instant> {
        let expiry = |core: &Core<T>| core.buffer.next_expiry().and_then(|at| shared.time(at));
        let due = expiry(core)?;
        if due > now {
            return Some(due.max(self.swept + SWEEP));
        }
        if self.swept + SWEEP <= now {
            self.swept = now;
            let nanos = shared.nanos(now);
            core.settle(deferred, None, |buffer, mut settle| {
                buffer.expire(nanos, &mut settle);
            });
        }
        expiry(core).map(|due| due.max(self.swept + SWEEP))
    }
}

/// Passes over senders that do not take their room. Returns when to do so next.
fn pass_on<T: Message>(
    shared: &OutboxShared<T>,
    core: &mut Core<T>,
    deferred: &mut Deferred<T>,
) -> Option<Instant> {
    if core.waiters.is_empty() && core.store_waiters.is_empty() {
        return None;
    }
    let patience = PATIENCE.as_nanos() as u64;
    let passed = core.waiters.pass_on(core.now, patience);
    if core.store_waiters.pass_on(core.now, patience) || passed {
        core.room_changed(deferred);
    }
    let grants = [
        core.waiters.oldest_grant(),
        core.store_waiters.oldest_grant(),
    ];
    let oldest = grants.into_iter().flatten().min()?;
    shared.time(oldest.saturating_add(patience))
}

fn interrupt<T: Message>(core: &mut Core<T>, now: Instant) -> Option<Interrupt> {
    match core.phase {
        Phase::Draining(_) if core.is_empty() => return Some(Interrupt::Drained),
        Phase::Draining(deadline) if deadline <= now => return Some(Interrupt::Over),
        Phase::Over(_) => return Some(Interrupt::Over),
        Phase::Open | Phase::Draining(_) | Phase::Suspended(_) => {}
    }
    std::mem::take(&mut core.reconnect).then_some(Interrupt::Reconnect)
}
