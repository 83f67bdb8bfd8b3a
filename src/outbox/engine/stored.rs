//! What the writer of the store reports: messages that are stored, and messages that are not.

use super::deferred::Deferred;
use super::shared::OutboxShared;
use super::store_jobs::{StoreJobs, Waiting};
use crate::outbox::message::Message;
use crate::outbox::queue::buffer::Settled;

impl<T: Message> OutboxShared<T> {
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
                    core.backlog.stored(waiting.number, waiting.size);
                }
            }
            core.room_changed(&mut deferred);
            let wakes = core.task.wants_messages || !core.backlog.is_empty();
            deferred.wakers().extend(core.task.waker.take_if(|_| wakes));
        }
        deferred.run();
    }

    /// This message was settled while it waited for room in the store, and is not stored any more. Earlier ones may still wait.
    pub(crate) fn given_up(&self) {
        let mut deferred = Deferred::<T>::new();
        {
            let mut core = self.lock();
            core.storing = core.storing.saturating_sub(1);
            core.room_changed(&mut deferred);
            deferred.wakers().extend(core.task.waker.take());
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
            if message.is_some() && core.backlog.is_dropped(waiting.number) {
                deferred.messages().extend(message.take());
            } else if message.is_some() {
                let copy = core.backlog.not_stored(waiting.number, waiting.size);
                deferred.messages().extend(copy);
            } else {
                core.buffer
                    .refuse(waiting.number, &mut |settled: Settled<T>| {
                        message = Some(settled.message);
                    });
            }
            core.room_changed(&mut deferred);
            // A draining outbox may be empty now.
            deferred.wakers().extend(core.task.waker.take());
        }
        deferred.run();
        message
    }

    /// Records that a message was dropped because the store had no room.
    pub(crate) fn overflowed(&self, number: u64, message: T, receipt: bool) {
        let mut deferred = Deferred::new();
        self.lock()
            .overflowed(number, message, receipt, &mut deferred);
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
            deferred.wakers().extend(core.task.waker.take());
        }
        deferred.run();
        evicted
    }
}
