//! The state that the handles, the receipts and the task share.

use super::core::{Core, Deferred, OutboxEnd, Phase};
use super::on_unsendable::OnUnsendable;
use super::ranking::Ranking;
use super::report::{OutboxReport, WANTS_STATUS};
use super::settings::{FromBytes, Settings};
use super::store_jobs::{StoreJobs, Waiting};
use crate::observe::call_foreign;
use crate::outbox::confirm::Ids;
use crate::outbox::give_up::GiveUpReason;
use crate::outbox::message::Message;
use crate::outbox::overflow::Overflow;
use crate::outbox::processed::ConfirmedBy;
use crate::outbox::queue::buffer::{Buffer, Settled};
use crate::outbox::shutdown::ShutdownReport;
use crate::outbox::status::{Link, OutboxStatus};
use crate::outbox::undelivered::UndeliveredError;
use crate::outbox::unsendable::Unsendable;
use bytes::Bytes;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a shutdown waits for the running call of the store, even if its own time is shorter.
const STORE_CLOSES: Duration = Duration::from_secs(1);

/// What the handles, the receipts and the task share. Aligned to a cache line, because senders on other cores lock it.
#[repr(align(64))]
pub(crate) struct OutboxShared<T> {
    core: Mutex<Core<T>>,
    pub(crate) ids: Ids<T>,
    pub(crate) ranking: Ranking<T>,
    pub(crate) overflow: Overflow,
    confirmed_by: ConfirmedBy,
    status: watch::Sender<OutboxStatus>,
    /// When the outbox was made: zero of the buffer's clock.
    started: Instant,
    linger: Duration,
    /// A rough count of sends, for tokio's budget: see [`send`](Self::send).
    pub(crate) sent: AtomicUsize,
    unsendable: Mutex<OnUnsendable<T>>,
    pub(crate) report: OutboxReport,
    /// Makes the record of a message; `None` if the outbox is not durable.
    pub(crate) to_bytes: Option<fn(&T) -> Bytes>,
    /// Makes a message from a record; `None` if the outbox is not durable.
    pub(crate) from_bytes: Option<FromBytes<T>>,
}

impl<T: Message> OutboxShared<T> {
    pub(crate) fn new(
        settings: &Settings<T>,
        unsendable: OnUnsendable<T>,
        ranking: Ranking<T>,
        ids: Ids<T>,
        confirmed_by: ConfirmedBy,
    ) -> Self {
        let started = Instant::now();
        let mut buffer = Buffer::new(settings.max_bytes, settings.max_count);
        if ranking.reorders() {
            buffer.prioritize();
        }
        let core = Core::new(buffer, settings.in_flight);
        let durable = settings.durable.as_ref();
        Self {
            status: watch::Sender::new(core.status(started, started)),
            core: Mutex::new(core),
            ids,
            ranking,
            overflow: settings.overflow,
            confirmed_by,
            started,
            linger: settings.linger,
            sent: AtomicUsize::new(0),
            unsendable: Mutex::new(unsendable),
            report: OutboxReport::new(settings.name.clone()),
            to_bytes: durable.map(|durable| durable.to_bytes),
            from_bytes: durable.map(|durable| durable.from_bytes),
        }
    }

    /// Hands a message that cannot be sent to the user's handler. Returns whether the store may discard it.
    pub(crate) fn hand_over(&self, letter: Unsendable<T>) -> bool {
        call_foreign(|| self.report.unsendable(letter.number, &letter.reason));
        let mut unsendable = self.unsendable.lock();
        let unsendable = unsendable.as_deref_mut();
        unsendable.is_ok_and(|unsendable| unsendable.hand_over(letter))
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.to_bytes.is_some()
    }

    /// Sends all further messages to this store.
    pub(crate) fn set_store(&self, store: StoreJobs<T>) {
        let mut core = self.lock();
        core.ended = Some(store.ended());
        core.store = Some(store);
    }

    /// The store has written these messages.
    pub(crate) fn stored(&self, messages: &[Waiting<T>]) {
        let mut deferred = Deferred::new();
        {
            let mut core = self.lock();
            for waiting in messages {
                core.storing = core.storing.saturating_sub(1);
                core.stored = waiting.number + 1;
                if waiting.message.is_some() {
                    core.backlog.stored(waiting.size);
                }
            }
            core.room_changed(&mut deferred);
            let wakes = core.task.wants_messages || !core.backlog.is_empty();
            deferred.wakers.extend(core.task.waker.take_if(|_| wakes));
        }
        deferred.run();
    }

    /// The store has not written this message. Returns the message if the outbox still holds it.
    pub(crate) fn not_stored(&self, waiting: &mut Waiting<T>) -> Option<T> {
        let mut deferred = Deferred::new();
        let mut message = waiting.message.take();
        {
            let mut core = self.lock();
            core.storing = core.storing.saturating_sub(1);
            core.stored = waiting.number + 1;
            if message.is_some() {
                let copy = core.backlog.not_stored(waiting.number, waiting.size);
                deferred.messages.extend(copy);
            } else {
                core.buffer
                    .refuse(waiting.number, &mut |settled: Settled<T>| {
                        message = Some(settled.message);
                    });
            }
            core.room_changed(&mut deferred);
            // A draining outbox may be empty now.
            deferred.wakers.extend(core.task.waker.take());
        }
        deferred.run();
        message
    }

    /// Records that a message was dropped because the store had no room.
    pub(crate) fn overflowed(&self, number: u64, message: T) {
        let mut deferred = Deferred::new();
        self.lock().overflowed(number, message, &mut deferred);
        deferred.run();
    }

    /// Drops the oldest important message of memory below `limit`, and returns its number. With `written_too` it may
    /// also drop a message that is written on the present connection.
    pub(crate) fn evict_important(&self, limit: u64, written_too: bool) -> Option<u64> {
        let mut deferred = Deferred::new();
        let mut evicted = None;
        {
            let mut core = self.lock();
            core.settle(&mut deferred, None, |buffer, mut settle| {
                evicted = buffer.evict_important(limit, written_too, &mut settle);
            });
            deferred.wakers.extend(core.task.waker.take());
        }
        deferred.run();
        evicted
    }

    /// Locks the core. See the [engine](super) for the order of locks.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core<T>> {
        // `Clone` of a message may panic under this lock. The core is consistent at each of these calls.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A time on the buffer's clock: nanoseconds since the outbox was made.
    pub(crate) fn nanos(&self, time: Instant) -> u64 {
        u64::try_from(time.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The instant at which the buffer's clock shows `nanos`; `None` if it is too far away.
    pub(crate) fn time(&self, nanos: u64) -> Option<Instant> {
        self.started.checked_add(Duration::from_nanos(nanos))
    }

    /// As [`time`](Self::time), for a time that the clock has already shown.
    pub(crate) fn instant(&self, nanos: u64) -> Instant {
        self.time(nanos).unwrap_or(self.started)
    }

    /// A sender or a sink is made.
    pub(crate) fn add_handle(&self) {
        self.lock().handles += 1;
    }

    /// A sender or a sink is dropped. After the last one the outbox drains for the linger time, and then ends.
    pub(crate) fn drop_handle(&self) {
        let mut deferred = Deferred::new();
        {
            let mut core = self.lock();
            core.handles -= 1;
            if core.handles == 0 {
                match &core.phase {
                    Phase::Over(_) => core.clear(&mut deferred),
                    Phase::Suspended(why) => {
                        let end = OutboxEnd::GaveUp(why.clone());
                        core.end(end, &mut deferred);
                    }
                    Phase::Open | Phase::Draining(_) => {
                        drain(&mut core, self.linger, &mut deferred);
                    }
                }
            }
        }
        deferred.run();
    }

    /// Polls a receipt. A number that is in none of the tables belongs to a delivered message.
    pub(crate) fn poll_receipt(
        &self,
        number: u64,
        cx: &Context<'_>,
    ) -> Poll<Result<ConfirmedBy, UndeliveredError<T>>> {
        let mut core = self.lock();
        if let Some((message, reason)) = core.failed.remove(&number) {
            return Poll::Ready(Err(UndeliveredError::new(message, reason)));
        }
        let held = core.buffer.get(number);
        let Some(message) = held.or_else(|| core.backlog.receipts.get(&number)) else {
            return Poll::Ready(Ok(self.confirmed_by));
        };
        if let Some(reason) = core.phase.undelivered() {
            let message = message.clone();
            core.buffer.forget_receipt(number);
            core.backlog.receipts.remove(&number);
            return Poll::Ready(Err(UndeliveredError::new(message, reason)));
        }
        core.receipts.insert(number, cx.waker().clone());
        Poll::Pending
    }

    /// The receipt was dropped: the outcome of the message is not kept.
    pub(crate) fn forget_receipt(&self, number: u64) {
        let mut core = self.lock();
        core.buffer.forget_receipt(number);
        // The usual case needs no lookup in a hash table.
        if core.receipts.is_empty() && core.failed.is_empty() && core.backlog.receipts.is_empty() {
            return;
        }
        let waker = core.receipts.remove(&number);
        let failed = core.failed.remove(&number);
        let on_disk = core.backlog.receipts.remove(&number);
        drop(core);
        drop((waker, failed, on_disk));
    }

    /// A receiver of the status, with the present value in it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<OutboxStatus> {
        let receiver = self.status.subscribe();
        self.publish();
        // The task publishes nothing while there is no receiver.
        self.wake_task();
        receiver
    }

    /// Wakes the task.
    fn wake_task(&self) {
        let task = self.lock().task.waker.take();
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The status now.
    pub(crate) fn current(&self) -> OutboxStatus {
        self.lock().status(Instant::now(), self.started)
    }

    /// Whether anybody gets the status: a subscriber, or metrics.
    pub(crate) fn is_watched(&self) -> bool {
        WANTS_STATUS || self.status.receiver_count() > 0
    }

    /// Sends the present status to subscribers and metrics.
    pub(crate) fn publish(&self) {
        self.report.status(|| {
            // Sent under the lock, so that an older status never follows a newer one.
            let mut core = self.lock();
            core.changed = false;
            let over = matches!(core.phase, Phase::Over(_));
            let status = core.status(Instant::now(), self.started);
            self.status.send_replace(status.clone());
            (status, over)
        });
    }

    /// Records and publishes a new state of the connection.
    pub(crate) fn set_link(&self, link: Link) {
        let mut core = self.lock();
        if matches!(link, Link::Connecting { .. }) {
            core.counts.connects += 1;
            // An earlier request for a new connection is fulfilled by this attempt.
            core.reconnect = false;
        }
        if matches!(core.phase, Phase::Open | Phase::Draining(_)) {
            core.link = link.clone();
        }
        drop(core);
        call_foreign(|| self.report.link(&link));
        self.publish();
    }

    /// Ends the outbox, and publishes that.
    pub(crate) fn end(&self, end: OutboxEnd) {
        let mut deferred = Deferred::new();
        self.lock().end(end, &mut deferred);
        self.publish();
        deferred.run();
    }

    /// Suspends the outbox after it gave up, and publishes that.
    pub(crate) fn suspend(&self, why: GiveUpReason) {
        let mut deferred = Deferred::new();
        self.lock().suspend(why.clone(), &mut deferred);
        call_foreign(|| self.report.link(&Link::GaveUp(why)));
        self.publish();
        deferred.run();
    }

    /// `Outbox::reconnect_now`.
    pub(crate) fn reconnect_now(&self) {
        {
            let mut core = self.lock();
            if !matches!(core.phase, Phase::Open | Phase::Draining(_)) {
                return;
            }
            core.reconnect = true;
        }
        self.wake_task();
    }

    /// `Outbox::resume`.
    pub(crate) fn resume(&self) -> bool {
        {
            let mut core = self.lock();
            if !matches!(core.phase, Phase::Suspended(_)) {
                return false;
            }
            core.phase = Phase::Open;
            core.reconnect = true;
        }
        self.wake_task();
        true
    }

    /// `Outbox::shutdown`. Waits for the task until the deadline, ends the outbox itself if the task has not, and then
    /// waits for the store to close.
    pub(crate) async fn shutdown(&self, within: Duration) -> ShutdownReport<T> {
        let began = Instant::now();
        let mut status = self.status.subscribe();
        let (deadline, store) = {
            let mut deferred = Deferred::new();
            let mut core = self.lock();
            drain(&mut core, within, &mut deferred);
            let deadline = match core.phase {
                Phase::Draining(deadline) => deadline,
                Phase::Open | Phase::Suspended(_) | Phase::Over(_) => began,
            };
            let store = core.ended.clone();
            drop(core);
            deferred.run();
            (deadline, store)
        };
        let over = status.wait_for(|status| matches!(status.link, Link::Closed | Link::GaveUp(_)));
        if tokio::time::timeout_at(deadline, over).await.is_err() {
            // The task is blocked in the user's code, or nobody polls it.
            self.end(OutboxEnd::ShutDown);
        }
        let store_closed = match store {
            None => true,
            Some(mut ended) => {
                let closes = deadline.max(began + STORE_CLOSES);
                let closed = tokio::time::timeout_at(closes, ended.changed()).await;
                matches!(closed, Ok(Err(_)))
            }
        };
        let core = self.lock();
        let on_disk = core.backlog.held().count;
        let held = core.buffer.iter();
        let undelivered = held.map(|(_, message)| message.clone()).collect();
        drop(core);
        ShutdownReport {
            undelivered,
            on_disk,
            store_closed,
        }
    }
}

/// Stops accepting messages, and sets the deadline for the delivery of the rest. An earlier deadline stays.
fn drain<T: Message>(core: &mut Core<T>, within: Duration, deferred: &mut Deferred<T>) {
    let far = Duration::from_secs(86_400 * 365 * 30);
    let deadline = Instant::now() + within.min(far);
    core.phase = match &core.phase {
        Phase::Open => Phase::Draining(deadline),
        Phase::Draining(earlier) => Phase::Draining(deadline.min(*earlier)),
        Phase::Suspended(why) => {
            let end = OutboxEnd::GaveUp(why.clone());
            return core.end(end, deferred);
        }
        Phase::Over(_) => return,
    };
    deferred.wakers.extend(core.task.waker.take());
    core.waiters.wake_all(&mut deferred.wakers);
    core.store_waiters.wake_all(&mut deferred.wakers);
}
