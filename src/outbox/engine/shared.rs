//! The state that the handles, the receipts and the task share.

use super::core::Core;
use super::deferred::wake;
use super::on_unsendable::OnUnsendable;
use super::phase::Phase;
use super::publisher::Publisher;
use super::ranking::Ranking;
use super::report::{OutboxReport, WANTS_STATUS};
use super::settings::{FromBytes, Settings};
use crate::observe::call_foreign;
use crate::outbox::confirm::Ids;
use crate::outbox::message::Message;
use crate::outbox::overflow::Overflow;
use crate::outbox::processed::ConfirmedBy;
use crate::outbox::queue::buffer::Buffer;
use crate::outbox::status::{Link, OutboxStatus};
use crate::outbox::unsendable::Unsendable;
use bytes::Bytes;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

/// What the handles, the receipts and the task share. Aligned to a cache line, because senders on other cores lock it.
#[repr(align(64))]
pub(crate) struct OutboxShared<T> {
    core: Mutex<Core<T>>,
    pub(crate) ids: Ids<T>,
    pub(crate) ranking: Ranking<T>,
    pub(crate) overflow: Overflow,
    pub(super) confirmed_by: ConfirmedBy,
    pub(super) publisher: Publisher,
    /// When the outbox was made: zero of the buffer's clock.
    pub(super) started: Instant,
    /// The runtime in which the outbox was made, for the timers of a caller without one.
    pub(super) runtime: Handle,
    pub(super) linger: Duration,
    /// A rough count of sends, for tokio's budget: see [`let_others_run`](Self::let_others_run).
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
        runtime: Handle,
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
            publisher: Publisher::new(core.status(started, started)),
            core: Mutex::new(core),
            ids,
            ranking,
            overflow: settings.overflow,
            confirmed_by,
            started,
            runtime,
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

    /// A receiver of the status, with the present value in it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<OutboxStatus> {
        let receiver = self.publisher.subscribe();
        self.publish();
        // The task publishes nothing while there is no receiver.
        self.wake_task();
        receiver
    }

    /// Wakes the task.
    pub(super) fn wake_task(&self) {
        let task = self.lock().task.waker.take();
        if let Some(task) = task {
            wake(task);
        }
    }

    /// The status now.
    pub(crate) fn current(&self) -> OutboxStatus {
        self.lock().status(Instant::now(), self.started)
    }

    /// Whether anybody gets the status: a subscriber, or metrics.
    pub(crate) fn is_watched(&self) -> bool {
        WANTS_STATUS || self.publisher.has_receivers()
    }

    /// Sends the present status to subscribers and metrics.
    pub(crate) fn publish(&self) {
        let read = || {
            // Noted under the lock, so that an older status never follows a newer one.
            let mut core = self.lock();
            core.changed = false;
            let over = matches!(core.phase, Phase::Over(_));
            let status = core.status(Instant::now(), self.started);
            self.publisher.note(status.clone());
            (status, over)
        };
        if !self.report.status(read) {
            read();
        }
        self.publisher.publish();
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
}
