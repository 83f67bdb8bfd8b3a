//! Whether an offered message is accepted now, and where it goes.
//!
//! | the message | there is room, and nobody waits for it | otherwise |
//! |---|---|---|
//! | is larger than the whole capacity | | refused: `TooLarge` |
//! | is not for a store | the buffer | `Full`, for which a sender may wait; or one of the two is dropped, as `Overflow` says |
//! | is for the store | the buffer and the store | the store alone: it becomes a part of the backlog |
//! | is for the store, while there is a backlog | the store alone, so that the order stays | the same |
//!
//! Room in the store's queue of jobs is another matter: a sender waits for it in `store_waiters`. A message gets its number
//! here, under the lock, so numbers are in the order of acceptance, in memory and in the store.

use super::core::{Core, fits};
use super::deferred::{Deferred, wake};
use super::offer::Offer;
use super::shared::OutboxShared;
use super::store_jobs::ToStore;
use crate::outbox::confirm::Ids;
use crate::outbox::message::Message;
use crate::outbox::overflow::Overflow;
use crate::outbox::queue::block::Terms;
use crate::outbox::queue::buffer::Fit;
use crate::outbox::refused::{OutboxError, RefusedReason};
use std::sync::MutexGuard;
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;

impl<T: Message> OutboxShared<T> {
    /// Accepts the message if there is room.
    #[inline]
    pub(super) fn try_accept(&self, message: T, offer: Offer) -> Result<u64, OutboxError<T>> {
        let mut core = self.lock();
        if !core.is_free(offer.terms.size as usize) {
            return self.try_accept_full(core, message, offer);
        }
        let (number, task) = self.hold(&mut core, message, offer);
        drop(core);
        if let Some(task) = task {
            wake(task);
        }
        Ok(number)
    }

    /// The message cannot simply be accepted.
    #[cold]
    fn try_accept_full(
        &self,
        mut core: MutexGuard<'_, Core<T>>,
        message: T,
        offer: Offer,
    ) -> Result<u64, OutboxError<T>> {
        let mut deferred = Deferred::new();
        let accepted = self.accept(&mut core, message, offer, false, &mut deferred);
        drop(core);
        deferred.run();
        accepted
    }

    /// Accepts the message if there is room. Waiting senders go first, unless it is this sender's turn (`in_turn`).
    pub(super) fn accept(
        &self,
        core: &mut Core<T>,
        message: T,
        offer: Offer,
        in_turn: bool,
        deferred: &mut Deferred<T>,
    ) -> Result<u64, OutboxError<T>> {
        if let Some(reason) = core.phase.refused() {
            return Err(OutboxError::new(message, reason));
        }
        match core.fit(offer.terms.size as usize) {
            Fit::Now if in_turn || !core.waiters.is_contended() => {}
            Fit::Never => return Err(OutboxError::new(message, RefusedReason::TooLarge)),
            Fit::Now | Fit::Later => match self.overflow {
                Overflow::Wait | Overflow::Refuse => {
                    return Err(OutboxError::new(message, RefusedReason::Full));
                }
                Overflow::DropOldest if make_room(core, &offer.terms, deferred) => {}
                Overflow::DropOldest | Overflow::DropNewest => {
                    return Ok(drop_newest(core, message, &offer.terms, deferred));
                }
            },
        }
        let (number, task) = self.hold(core, message, offer);
        deferred.wakers().extend(task);
        Ok(number)
    }

    /// Puts the message into the buffer. Returns its number, and the task if it has to be woken.
    #[inline]
    fn hold(&self, core: &mut Core<T>, message: T, offer: Offer) -> (u64, Option<Waker>) {
        let terms = self.complete(core, offer);
        let number = core.buffer.push(message, terms);
        core.changed = true;
        let armed = core.task.armed;
        let wakes = core.task.wants_messages || terms.expires.is_some_and(|at| at < armed);
        (number, core.task.waker.take_if(|_| wakes))
    }

    /// [`accept_stored`](Self::accept_stored) under the lock.
    pub(super) fn try_accept_stored(
        &self,
        message: T,
        offer: Offer,
        to_store: &mut Option<ToStore<T>>,
    ) -> Result<u64, OutboxError<T>> {
        let mut deferred = Deferred::new();
        let mut core = self.lock();
        let accepted =
            self.accept_stored(&mut core, message, offer, to_store, false, &mut deferred);
        drop(core);
        deferred.run();
        accepted
    }

    /// Accepts a message that goes to the store. It stays in memory too, if there is room and the backlog is empty.
    ///
    /// It takes `to_store` when it accepts the message.
    pub(super) fn accept_stored(
        &self,
        core: &mut Core<T>,
        message: T,
        offer: Offer,
        to_store: &mut Option<ToStore<T>>,
        in_turn: bool,
        deferred: &mut Deferred<T>,
    ) -> Result<u64, OutboxError<T>> {
        if let Some(reason) = core.phase.refused() {
            return Err(OutboxError::new(message, reason));
        }
        let fit = core.buffer.fit(offer.terms.size as usize);
        if fit == Fit::Never {
            return Err(OutboxError::new(message, RefusedReason::TooLarge));
        }
        let waits = core.store_waiters.is_contended() && !in_turn;
        let room = core.store_room();
        let accepts = |to_store: &mut ToStore<T>| !waits && fits(room, to_store.size());
        let Some(mut to_store) = to_store.take_if(accepts) else {
            return Err(OutboxError::new(message, RefusedReason::Full));
        };
        let terms = self.complete(core, offer);
        let number = if fit == Fit::Now && core.backlog.is_empty() {
            core.buffer.push(message, terms)
        } else {
            // Before anything is counted, because it may panic.
            let copy = terms.receipt.then(|| message.clone());
            let number = core.buffer.skip();
            core.backlog.push(number, to_store.size(), terms.since);
            core.backlog
                .hold(number, to_store.size(), copy, terms.expires);
            to_store.message = Some(message);
            number
        };
        core.changed = true;
        core.storing += 1;
        if let Some(store) = &core.store {
            store.append(number, to_store);
            let armed = core.task.armed;
            let wakes = store.on_task || terms.expires.is_some_and(|at| at < armed);
            deferred.wakers().extend(core.task.waker.take_if(|_| wakes));
        }
        Ok(number)
    }

    /// The terms of a message that is accepted now: those of the offer, with the time and the number.
    #[inline]
    fn complete(&self, core: &mut Core<T>, offer: Offer) -> Terms {
        if core.task.waker.is_some() || offer.limit.is_some() {
            core.now = self.nanos(Instant::now());
        }
        let expires = |limit: Duration| {
            let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
            core.now.saturating_add(limit)
        };
        Terms {
            since: core.now,
            expires: offer.limit.map(expires),
            id: match self.ids {
                Ids::Numbers => core.buffer.next_number(),
                Ids::OfMessage(_) => offer.terms.id,
            },
            ..offer.terms
        }
    }
}

/// Drops messages until the offered one fits. Returns `false` if the offered message has to be dropped instead.
fn make_room<T: Message>(core: &mut Core<T>, terms: &Terms, deferred: &mut Deferred<T>) -> bool {
    let size = terms.size as usize;
    // The messages on disk come first. Dropping messages from memory would not help this one.
    if !core.backlog.is_empty() || !core.buffer.can_make_room(size, terms.priority) {
        return false;
    }
    while core.buffer.fit(size) == Fit::Later {
        core.settle(deferred, None, |buffer, mut settle| {
            buffer.evict(&mut settle);
        });
    }
    true
}

/// Drops the offered message. It still gets a number, and its receipt reports `Overflowed`.
fn drop_newest<T: Message>(
    core: &mut Core<T>,
    message: T,
    terms: &Terms,
    deferred: &mut Deferred<T>,
) -> u64 {
    let number = core.buffer.skip();
    core.overflowed(number, message, terms.receipt, deferred);
    number
}
