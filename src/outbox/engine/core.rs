//! The state of an outbox that is behind its lock: the buffer, the waiting senders, and the phase.

use super::backlog::Backlog;
use super::deferred::Deferred;
use super::phase::{OutboxEnd, Phase};
use super::store_jobs::StoreJobs;
use crate::outbox::give_up::GiveUpReason;
use crate::outbox::message::Message;
use crate::outbox::queue::buffer::{Budget, Buffer, Fit};
use crate::outbox::queue::wait_queue::WaitQueue;
use crate::outbox::status::{Link, OutboxStatus};
use crate::outbox::undelivered::UndeliveredReason;
use std::collections::HashMap;
use std::task::Waker;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// All mutable state of an outbox.
///
/// # Invariants
///
/// 1. A message is in exactly one place: in `buffer`, in `backlog`, in `failed`, or gone. A receipt whose number
///    is in none of them resolves to "delivered".
/// 2. `receipts` has wakers only for messages in `buffer` or `backlog`.
/// 3. `storing` counts the messages that the store's writer has not answered yet. None of them is written to a
///    connection: if the store fails, the sender gets the message back, and it must not have been sent.
/// 4. `store` is `None` from the end of the outbox on. The writer sees its channel close, and closes the store.
pub(crate) struct Core<T> {
    pub(crate) buffer: Buffer<T>,
    pub(crate) phase: Phase,
    pub(crate) link: Link,
    /// A handle asked for a new connection.
    pub(crate) reconnect: bool,
    /// Undelivered messages whose receipts are held and have not been polled since.
    pub(crate) failed: HashMap<u64, (T, UndeliveredReason)>,
    /// Wakers of the receipts that were polled and were pending.
    pub(crate) receipts: HashMap<u64, Waker>,
    pub(crate) task: TaskWaker,
    /// The time of the last clock reading, in nanoseconds since the start. A sender that finds the task running uses
    /// it instead of reading the clock.
    pub(crate) now: u64,
    /// Senders that wait for room in memory.
    pub(crate) waiters: WaitQueue<Waker>,
    /// Senders that wait until the store has written others.
    pub(crate) store_waiters: WaitQueue<Waker>,
    /// Messages that are in the store and not in memory.
    pub(crate) backlog: Backlog<T>,
    /// Senders and sinks. At zero the outbox drains for the linger time.
    pub(crate) handles: usize,
    /// The channel to the store's writer; `None` without a store, and after the end.
    pub(crate) store: Option<StoreJobs<T>>,
    /// Wakers of the calls of `shutdown` that wait for the end.
    pub(crate) ends: Vec<Waker>,
    /// Closes when the store is closed.
    pub(crate) ended: Option<watch::Receiver<()>>,
    /// Messages on their way to the store.
    pub(crate) storing: usize,
    /// Messages below this number are stored. The others are not written yet.
    pub(crate) stored: u64,
    /// The limit of `Builder::in_flight`.
    pub(crate) in_flight: usize,
    /// While this message is held, no later message is written: see `Builder::max_attempts`.
    pub(crate) alone: Option<u64>,
    pub(crate) counts: Counts,
    /// Whether the counts changed since they were last published.
    pub(crate) changed: bool,
}

/// Counters of [`OutboxStatus`]. They never go down.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) delivered: u64,
    pub(crate) resent: u64,
    pub(crate) dropped: u64,
    pub(crate) rejected: u64,
    pub(crate) unsendable: u64,
    pub(crate) connects: u64,
}

/// When the task wants to be woken. A sender wakes it only for these, so most sends cost no wake.
#[derive(Default)]
pub(crate) struct TaskWaker {
    /// `None` while the task runs, or is about to.
    pub(crate) waker: Option<Waker>,
    /// Any message wakes it.
    pub(crate) wants_messages: bool,
    /// The time for which the task's timer is set. A message that expires earlier wakes the task.
    pub(crate) armed: u64,
}

impl<T: Message> Core<T> {
    pub(crate) fn new(buffer: Buffer<T>, in_flight: usize) -> Self {
        Self {
            buffer,
            phase: Phase::Open,
            link: Link::Connecting { attempt: 0 },
            reconnect: false,
            failed: HashMap::new(),
            receipts: HashMap::new(),
            task: TaskWaker::default(),
            now: 0,
            waiters: WaitQueue::new(),
            store_waiters: WaitQueue::new(),
            backlog: Backlog::new(),
            handles: 0,
            store: None,
            ends: Vec::new(),
            ended: None,
            storing: 0,
            stored: 0,
            in_flight,
            alone: None,
            counts: Counts::default(),
            changed: false,
        }
    }

    /// Messages were settled: grants the free room to waiting senders.
    pub(crate) fn room_changed(&mut self, deferred: &mut Deferred<T>) {
        self.changed = true;
        if !self.waiters.is_empty() {
            self.waiters.grant(self.room(), self.now, deferred.wakers());
        }
        if !self.store_waiters.is_empty() {
            self.store_waiters
                .grant(self.store_room(), self.now, deferred.wakers());
        }
    }

    /// How many more bytes and messages memory accepts from senders. While the backlog is not empty this is what is
    /// left of one half: the other half is reserved for messages from the store, which come first in the order.
    pub(crate) fn room(&self) -> (usize, usize) {
        if self.backlog.is_empty() {
            self.buffer.room()
        } else {
            self.buffer.half_room()
        }
    }

    /// Whether a message of `size` bytes is accepted without further questions: the outbox is open, nobody waits, there is no
    /// backlog, and the message fits.
    #[inline]
    pub(crate) fn is_free(&self, size: usize) -> bool {
        matches!(self.phase, Phase::Open)
            && !self.waiters.is_contended()
            && self.backlog.is_empty()
            && self.buffer.fit(size) == Fit::Now
    }

    /// Whether a message of `size` bytes fits into memory, as far as memory accepts messages from senders.
    pub(crate) fn fit(&self, size: usize) -> Fit {
        match self.buffer.fit(size) {
            Fit::Now if !fits(self.room(), size) => Fit::Later,
            fit => fit,
        }
    }

    /// How many more bytes and messages may be on their way to the store.
    pub(crate) fn store_room(&self) -> (usize, usize) {
        self.backlog.room(self.buffer.capacity())
    }

    /// The queue of senders that wait for the store, or of those that wait for memory.
    pub(crate) fn waiters(&mut self, for_store: bool) -> &mut WaitQueue<Waker> {
        if for_store {
            &mut self.store_waiters
        } else {
            &mut self.waiters
        }
    }

    /// Whether no message is left, in memory or in the store.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.backlog.is_empty()
    }

    /// What the task may write now: only stored messages, no message beyond one that has to be alone, and none that
    /// comes after a message of the backlog.
    pub(crate) fn budget(&self, bytes: usize) -> Budget {
        let stored = match self.storing {
            0 => u64::MAX,
            _ => self.stored,
        };
        Budget {
            bytes,
            in_flight: self.in_flight,
            below: stored.min(self.backlog.barrier()),
            alone: self.alone,
        }
    }

    /// Whether there is a message that may be written now.
    pub(crate) fn has_more(&self) -> bool {
        if !self.buffer.has_more() || self.buffer.written() >= self.in_flight {
            return false;
        }
        self.buffer.can_take(&self.budget(0))
    }

    /// Ends the outbox. Only the first call has an effect.
    pub(crate) fn end(&mut self, end: OutboxEnd, deferred: &mut Deferred<T>) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        self.link = match &end {
            OutboxEnd::GaveUp(why) => Link::GaveUp(why.clone()),
            OutboxEnd::ShutDown | OutboxEnd::TaskGone => Link::Closed,
        };
        self.phase = Phase::Over(end);
        // The remaining messages stay in the store.
        self.store = None;
        self.wake_all(deferred);
        if self.handles == 0 {
            self.clear(deferred);
        }
    }

    /// Suspends the outbox after it gave up, or ends it if nobody is left to resume it.
    pub(crate) fn suspend(&mut self, why: GiveUpReason, deferred: &mut Deferred<T>) {
        match self.phase {
            Phase::Over(_) | Phase::Suspended(_) => {}
            Phase::Draining(_) => self.end(OutboxEnd::GaveUp(why), deferred),
            Phase::Open if self.handles == 0 => self.end(OutboxEnd::GaveUp(why), deferred),
            Phase::Open => {
                self.link = Link::GaveUp(why.clone());
                self.phase = Phase::Suspended(why);
                self.reconnect = false;
                self.wake_all(deferred);
            }
        }
    }

    /// Wakes every task that waits for the outbox.
    pub(crate) fn wake_all(&mut self, deferred: &mut Deferred<T>) {
        // Receipts are woken in the order of their messages.
        let mut receipts: Vec<_> = self.receipts.drain().collect();
        receipts.sort_unstable_by_key(|&(number, _)| number);
        let wakers = receipts.into_iter().map(|(_, waker)| waker);
        deferred.wakers().extend(wakers);
        self.waiters.wake_all(deferred.wakers());
        self.store_waiters.wake_all(deferred.wakers());
        deferred.wakers().extend(self.task.waker.take());
        deferred.wakers().append(&mut self.ends);
    }

    /// Drops the remaining messages. Those with a receipt move to `failed`.
    pub(crate) fn clear(&mut self, deferred: &mut Deferred<T>) {
        let Some(reason) = self.phase.undelivered() else {
            return;
        };
        let (failed, receipts) = (&mut self.failed, &mut self.receipts);
        self.buffer.clear(|number, message, receipt| {
            if receipt {
                deferred.wakers().extend(receipts.remove(&number));
                failed.insert(number, (message, reason.clone()));
            } else {
                deferred.messages().push(message);
            }
        });
        for (number, message) in self.backlog.receipts.drain() {
            deferred.wakers().extend(receipts.remove(&number));
            failed.insert(number, (message, reason.clone()));
        }
    }

    /// The public status. `now` and `started` turn the buffer's clock into ages.
    pub(crate) fn status(&self, now: Instant, started: Instant) -> OutboxStatus {
        let age = |since| (now - started).saturating_sub(Duration::from_nanos(since));
        let on_disk = self.backlog.held();
        let oldest = [self.buffer.oldest(), self.backlog.oldest()];
        let oldest = oldest.into_iter().flatten().min();
        OutboxStatus {
            link: self.link.clone(),
            queued: self.buffer.len() + on_disk.count as usize,
            unconfirmed: self.buffer.written(),
            bytes: self.buffer.bytes(),
            on_disk: on_disk.count,
            on_disk_bytes: on_disk.bytes,
            oldest: oldest.map(age),
            delivered: self.counts.delivered,
            resent: self.counts.resent,
            dropped: self.counts.dropped,
            rejected: self.counts.rejected,
            unsendable: self.counts.unsendable,
            connects: self.counts.connects,
        }
    }
}

/// Whether a message of this size fits into this room.
pub(super) fn fits((bytes, count): (usize, usize), size: usize) -> bool {
    size <= bytes && count > 0
}
