//! Whether an offered message is accepted now, and where it goes.

use super::core::{Core, fits};
use super::deferred::Deferred;
use super::offer::Offer;
use super::shared::OutboxShared;
use super::store_jobs::ToStore;
use crate::outbox::confirm::Ids;
use crate::outbox::message::Message;
use crate::outbox::overflow::Overflow;
use crate::outbox::queue::block::Terms;
use crate::outbox::queue::buffer::Fit;
use crate::outbox::refused::{OutboxError, RefusedReason};
use crate::outbox::undelivered::UndeliveredReason;
use tokio::time::Instant;

impl<T: Message> OutboxShared<T> {
    /// [`accept`](Self::accept) under the lock.
    #[inline]
    pub(super) fn try_accept(
        &self,
        message: T,
        offer: &mut Offer<T>,
    ) -> Result<u64, OutboxError<T>> {
        let mut deferred = Deferred::new();
        let accepted = self.accept(&mut self.lock(), message, offer, false, &mut deferred);
        deferred.run();
        accepted
    }

    /// Accepts the message if there is room. Waiting senders go first, unless it is this sender's turn (`in_turn`).
    #[inline]
    pub(super) fn accept(
        &self,
        core: &mut Core<T>,
        message: T,
        offer: &mut Offer<T>,
        in_turn: bool,
        deferred: &mut Deferred<T>,
    ) -> Result<u64, OutboxError<T>> {
        if let Some(reason) = core.phase.refused() {
            return Err(OutboxError::new(message, reason));
        }
        if let Some(to_store) = offer.to_store.take() {
            return self.accept_stored(core, message, offer, to_store, in_turn, deferred);
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
        self.read_terms(core, offer);
        let number = core.buffer.push(message, offer.terms);
        core.changed = true;
        let expires = offer.terms.expires;
        let wake =
            core.task.wants_messages || expires.is_some_and(|expires| expires < core.task.armed);
        if wake && let Some(waker) = core.task.waker.take() {
            deferred.wakers().push(waker);
        }
        Ok(number)
    }

    /// Accepts a message that goes to the store. It stays in memory too, if there is room and the backlog is empty.
    #[cold]
    fn accept_stored(
        &self,
        core: &mut Core<T>,
        message: T,
        offer: &mut Offer<T>,
        mut to_store: Box<ToStore<T>>,
        in_turn: bool,
        deferred: &mut Deferred<T>,
    ) -> Result<u64, OutboxError<T>> {
        let size = offer.terms.size as usize;
        let fit = core.buffer.fit(size);
        let waits = core.store_waiters.is_contended() && !in_turn;
        let reason = match fit {
            Fit::Never => Some(RefusedReason::TooLarge),
            _ if waits || !fits(core.store_room(), to_store.size()) => Some(RefusedReason::Full),
            _ => None,
        };
        if let Some(reason) = reason {
            offer.to_store = Some(to_store);
            return Err(OutboxError::new(message, reason));
        }
        self.read_terms(core, offer);
        let number = if fit == Fit::Now && core.backlog.is_empty() {
            core.buffer.push(message, offer.terms)
        } else {
            let number = core.buffer.skip();
            let since = offer.terms.since;
            core.backlog.push(number, to_store.size(), since);
            if offer.terms.receipt {
                core.backlog.receipts.insert(number, message.clone());
            }
            if let Some(expires) = offer.terms.expires {
                core.backlog.expires.insert(number, expires);
            }
            to_store.message = Some(message);
            number
        };
        core.changed = true;
        core.storing += 1;
        if let Some(store) = &core.store {
            store.append(number, *to_store);
            if store.on_task {
                deferred.wakers().extend(core.task.waker.take());
            }
        }
        Ok(number)
    }

    /// Sets the terms that depend on the time and on the number.
    fn read_terms(&self, core: &mut Core<T>, offer: &mut Offer<T>) {
        if core.task.waker.is_some() || offer.limit.is_some() {
            core.now = self.nanos(Instant::now());
        }
        let terms = &mut offer.terms;
        terms.since = core.now;
        terms.expires = offer.limit.map(|limit| {
            let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
            core.now.saturating_add(limit)
        });
        if matches!(self.ids, Ids::Numbers) {
            terms.id = core.buffer.next_number();
        }
    }
}

/// Drops messages until the offered one fits. Returns `false` if the offered message has to be dropped instead.
fn make_room<T: Message>(core: &mut Core<T>, terms: &Terms, deferred: &mut Deferred<T>) -> bool {
    // The messages on disk come first. Dropping messages from memory would not help this one.
    if !core.backlog.is_empty() {
        return false;
    }
    while core.buffer.fit(terms.size as usize) == Fit::Later {
        if core.buffer.outranks(terms.priority) {
            return false;
        }
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
    core.counts.dropped += 1;
    core.changed = true;
    if terms.receipt {
        let reason = UndeliveredReason::Overflowed;
        core.failed.insert(number, (message, reason));
    } else {
        deferred.messages().push(message);
    }
    number
}
