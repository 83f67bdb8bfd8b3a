//! What the handles, the receipts and the task share.

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

/// How long a shutdown waits for the present call of the store, even if its own time is shorter.
const STORE_CLOSES: Duration = Duration::from_secs(1);

#[repr(align(64))]
pub(crate) struct OutboxShared<T> {
    core: Mutex<Core<T>>,
    pub(crate) ids: Ids<T>,
    pub(crate) ranking: Ranking<T>,
    pub(crate) overflow: Overflow,
    confirmed_by: ConfirmedBy,
    status: watch::Sender<OutboxStatus>,
    started: Instant,
    linger: Duration,
    /// How many sends there were.
    pub(crate) sent: AtomicUsize,
    unsendable: Mutex<OnUnsendable<T>>,
    pub(crate) report: OutboxReport,
    /// Makes the record of a message, if the outbox is durable.
    pub(crate) to_bytes: Option<fn(&T) -> Bytes>,
    /// Makes a message of a record.
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

    /// Hands a message that cannot be sent to the user's handler. Whether the store may forget it.
    pub(crate) fn hand_over(&self, letter: Unsendable<T>) -> bool {
        call_foreign(|| self.report.unsendable(letter.number, &letter.reason));
        let mut unsendable = self.unsendable.lock();
        let unsendable = unsendable.as_deref_mut();
        unsendable.is_ok_and(|unsendable| unsendable.hand_over(letter))
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.to_bytes.is_some()
    }

    /// Messages go to this store from now on.
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

    /// The store has not written this message. Returns it, if it is still held.
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
            // The last message that was held may be gone.
            deferred.wakers.extend(core.task.waker.take());
        }
        deferred.run();
        message
    }

    /// The store had no room for a message, which is dropped.
    pub(crate) fn overflowed(&self, number: u64, message: T) {
        let mut deferred = Deferred::new();
        self.lock().overflowed(number, message, &mut deferred);
        deferred.run();
    }

    /// Drops the oldest important message of memory below `limit`: one that is not written on this connection,
    /// or any. Returns its number.
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

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core<T>> {
        // A clone of a message may panic under it; nothing is half-made then.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buffer's clock: nanoseconds since the outbox was made.
    pub(crate) fn nanos(&self, time: Instant) -> u64 {
        u64::try_from(time.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The time at which the buffer's clock shows this.
    pub(crate) fn time(&self, nanos: u64) -> Option<Instant> {
        self.started.checked_add(Duration::from_nanos(nanos))
    }

    /// As [`time`](Self::time), for a time that this clock has shown.
    pub(crate) fn instant(&self, nanos: u64) -> Instant {
        self.time(nanos).unwrap_or(self.started)
    }

    pub(crate) fn add_handle(&self) {
        self.lock().handles += 1;
    }

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

    pub(crate) fn forget_receipt(&self, number: u64) {
        let mut core = self.lock();
        core.buffer.forget_receipt(number);
        // The usual case: no hash of the number is computed.
        if core.receipts.is_empty() && core.failed.is_empty() && core.backlog.receipts.is_empty() {
            return;
        }
        let waker = core.receipts.remove(&number);
        let failed = core.failed.remove(&number);
        let on_disk = core.backlog.receipts.remove(&number);
        drop(core);
        drop((waker, failed, on_disk));
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<OutboxStatus> {
        let receiver = self.status.subscribe();
        self.publish();
        // The task publishes nothing while there is no receiver.
        self.wake_task();
        receiver
    }

    fn wake_task(&self) {
        let task = self.lock().task.waker.take();
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The state now.
    pub(crate) fn current(&self) -> OutboxStatus {
        self.lock().status(Instant::now(), self.started)
    }

    /// Whether the watch channel has a receiver.
    pub(crate) fn is_watched(&self) -> bool {
        WANTS_STATUS || self.status.receiver_count() > 0
    }

    /// Puts the present state into the watch channel.
    pub(crate) fn publish(&self) {
        self.report.status(|| {
            // Under the lock, so that an older state never follows a newer one.
            let mut core = self.lock();
            core.changed = false;
            let over = matches!(core.phase, Phase::Over(_));
            let status = core.status(Instant::now(), self.started);
            self.status.send_replace(status.clone());
            (status, over)
        });
    }

    pub(crate) fn set_link(&self, link: Link) {
        let mut core = self.lock();
        if matches!(link, Link::Connecting { .. }) {
            core.counts.connects += 1;
            // This is the attempt that was asked for.
            core.reconnect = false;
        }
        if matches!(core.phase, Phase::Open | Phase::Draining(_)) {
            core.link = link.clone();
        }
        drop(core);
        call_foreign(|| self.report.link(&link));
        self.publish();
    }

    pub(crate) fn end(&self, end: OutboxEnd) {
        let mut deferred = Deferred::new();
        self.lock().end(end, &mut deferred);
        self.publish();
        deferred.run();
    }

    pub(crate) fn suspend(&self, why: GiveUpReason) {
        let mut deferred = Deferred::new();
        self.lock().suspend(why.clone(), &mut deferred);
        call_foreign(|| self.report.link(&Link::GaveUp(why)));
        self.publish();
        deferred.run();
    }

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
            // The task is in the user's `connect`, or nobody runs it.
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

/// Accepts nothing more, and delivers for at most this long.
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
