//! The task's work beside its connection: times that run out, the store's jobs, and the status.
//!
//! The task polls [`Housekeeping`] while it connects, while a session runs, and while it waits. One timer serves all
//! deadlines: each poll computes the earliest of them and sets the timer if it has changed.

use super::core::Core;
use super::deferred::Deferred;
use super::phase::Phase;
use super::shared::OutboxShared;
use super::store_writer::StoreWriter;
use crate::outbox::message::Message;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// The shortest time between two publications of the counts. A person cannot follow more than ten a second.
const PUBLISH: Duration = Duration::from_millis(100);

/// While nothing changes, the age of the oldest message is published this often.
const AGE: Duration = Duration::from_secs(1);

/// The shortest time between two searches for expired messages while nothing is written. A search visits every
/// message.
const SWEEP: Duration = Duration::from_millis(10);

/// How long a sender may leave granted room unused before the next sender gets it.
const PATIENCE: Duration = Duration::from_millis(20);

/// Why the task has to leave what it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// The outbox is shutting down, and no message is left.
    Drained,
    /// The time of the shutdown is over, or another thread ended the outbox.
    Over,
    /// A handle asked for a new connection.
    Reconnect,
}

/// The task's timer, and the state of its periodic work.
pub(crate) struct Housekeeping<T: Message> {
    /// The only timer of the task, apart from the one of the back-off.
    timer: Pin<Box<Sleep>>,
    /// The time for which the timer is set; `None` if it has fired or was never set.
    set: Option<Instant>,
    /// When the status was published last.
    published: Instant,
    /// When expired messages were searched for last.
    swept: Instant,
    /// The store's writer, if the task calls the store. Otherwise a thread has it.
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

    /// Does what is due. Ready if the task has to leave what it is doing.
    ///
    /// While it is pending, the task is woken for whatever becomes due, at the time `at` of the caller, and by every
    /// new message if `wants_messages`.
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
            // First: what expires makes room for the backlog, and may be the last message of a shutdown.
            let expiry = self.sweep(shared, &mut core, deferred, now);
            if let Some(interrupt) = interrupt(&mut core, now) {
                drop(core);
                deferred.run();
                return Poll::Ready(interrupt);
            }
            let now_nanos = core.now;
            let Core {
                backlog,
                buffer,
                store,
                ..
            } = &mut *core;
            if let Some(store) = store {
                if let Some(page) = backlog.next_page(buffer, now_nanos) {
                    store.load(page);
                }
                // Jobs were sent: for a page, for expired messages, or for one that came while the writer worked, when no waker was set.
                if store.on_task && store.take_any() {
                    drop(core);
                    deferred.run();
                    continue;
                }
            }
            let reload = core.backlog.retry.filter(|&retry| retry > now_nanos);
            let reload = reload.and_then(|retry| shared.time(retry));
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
            let replaced = match &task.waker {
                Some(waker) if waker.will_wake(cx.waker()) => None,
                _ => task.waker.replace(cx.waker().clone()),
            };
            // A message may have come between the caller's last look and this lock.
            let more = wants_messages && core.has_more();
            drop(core);
            // Without the lock, as in `poll_receipt`.
            drop(replaced);
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
                // The caller's own deadline has come: let the task poll the caller again.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Settles expired messages. Returns when a message may expire next.
    fn sweep(
        &mut self,
        shared: &OutboxShared<T>,
        core: &mut Core<T>,
        deferred: &mut Deferred<T>,
        now: Instant,
    ) -> Option<Instant> {
        let expiry = |core: &Core<T>| core.next_expiry().and_then(|at| shared.time(at));
        let due = expiry(core)?;
        if due > now {
            return Some(due.max(self.swept + SWEEP));
        }
        if self.swept + SWEEP <= now {
            self.swept = now;
            core.expire(shared.nanos(now), deferred);
        }
        expiry(core).map(|due| due.max(self.swept + SWEEP))
    }
}

/// Wakes senders whose time is over, and passes over those that have left their grant unused for [`PATIENCE`]. Returns when to
/// check next.
fn pass_on<T: Message>(
    shared: &OutboxShared<T>,
    core: &mut Core<T>,
    deferred: &mut Deferred<T>,
) -> Option<Instant> {
    if core.waiters.is_empty() && core.store_waiters.is_empty() {
        return None;
    }
    core.waiters.wake_expired(core.now, deferred.wakers());
    core.store_waiters.wake_expired(core.now, deferred.wakers());
    let patience = PATIENCE.as_nanos() as u64;
    let passed = core.waiters.pass_on(core.now, patience);
    if core.store_waiters.pass_on(core.now, patience) || passed {
        core.room_changed(deferred);
    }
    let grants = [
        core.waiters.oldest_grant(),
        core.store_waiters.oldest_grant(),
    ];
    let ends = grants.map(|oldest| Some(oldest?.saturating_add(patience)));
    let expire = [core.waiters.next_expiry(), core.store_waiters.next_expiry()];
    let next = ends.into_iter().chain(expire).flatten().min()?;
    shared.time(next)
}

/// The interrupt that the phase, or a handle, asks for.
fn interrupt<T: Message>(core: &mut Core<T>, now: Instant) -> Option<Interrupt> {
    match core.phase {
        Phase::Draining(_) if core.is_empty() => return Some(Interrupt::Drained),
        Phase::Draining(deadline) if deadline <= now => return Some(Interrupt::Over),
        Phase::Over(_) => return Some(Interrupt::Over),
        Phase::Open | Phase::Draining(_) | Phase::Suspended(_) => {}
    }
    std::mem::take(&mut core.reconnect).then_some(Interrupt::Reconnect)
}
