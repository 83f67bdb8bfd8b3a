//! Whether an offered message is accepted now, and where it goes.

use super::core::Core;
use super::deferred::Deferred;
use super::offer::{Declined, Offer};
use super::shared::OutboxShared;
use super::store_jobs::ToStore;
use crate::outbox::confirm::Ids;
use crate::outbox::message::Message;
use crate::outbox::overflow::Overflow;
use crate::outbox::queue::buffer::Fit;
use crate::outbox::refused::RefusedReason;
use crate::outbox::undelivered::UndeliveredReason;
use tokio::time::Instant;

impl<T: Message> OutboxShared<T> {
    /// Accepts the message if there is room. Waiting senders go first, unless it is this sender's turn (`in_turn`).
    #[inline]
    #[allow(
        clippy::result_large_err,
        reason = "the offer comes back to be made again"
    )]
    pub(super) fn accept(
        &self,
        core: &mut Core<T>,
        mut offer: Offer<T>,
        in_turn: bool,
        deferred: &mut Deferred<T>,
    ) -> Result<u64, Declined<T>> {
        if let Some(reason) = core.phase.refused() {
            return Err(Declined { offer, reason });
        }
        let size = offer.terms.size as usize;
        if let Some(to_store) = offer.to_store.take() {
            return self.accept_stored(core, offer, to_store, in_turn, deferred);
        }
        let fit = match core.buffer.fit(size) {
            Fit::Now if !fits(core.room(), size) => Fit::Later,
            fit => fit,
        };
        let reason = match fit {
            Fit::Never => Some(RefusedReason::TooLarge),
            Fit::Now if in_turn || !core.waiters.is_contended() => None,
            Fit::Now | Fit::Later => match self.overflow {
                Overflow::Wait | Overflow::Refuse => Some(RefusedReason::Full),
                // The messages on disk come first. Dropping messages from memory would not help this one.
                Overflow::DropOldest if !core.backlog.is_empty() => {
                    return Ok(drop_newest(core, offer, deferred));
                }
                Overflow::DropNewest => return Ok(drop_newest(core, offer, deferred)),
                Overflow::DropOldest if !core.buffer.can_make_room(size, offer.terms.priority) => {
                    return Ok(drop_newest(core, offer, deferred));
                }
                Overflow::DropOldest => {
                    while core.buffer.fit(size) == Fit::Later {
                        core.settle(deferred, None, |buffer, mut settle| {
                            buffer.evict(&mut settle);
                        });
                    }
                    None
                }
            },
        };
        if let Some(reason) = reason {
            return Err(Declined { offer, reason });
        }
        self.read_terms(core, &mut offer);
        let expires = offer.terms.expires;
        let number = core.buffer.push(offer.message, offer.terms);
        core.changed = true;
        let wake =
            core.task.wants_messages || expires.is_some_and(|expires| expires < core.task.armed);
        if wake {
            deferred.wakers.extend(core.task.waker.take());
        }
        Ok(number)
    }

    /// Accepts a message that goes to the store. It stays in memory too, if there is room and the backlog is empty.
    #[allow(
        clippy::result_large_err,
        reason = "the offer comes back to be made again"
    )]
    fn accept_stored(
        &self,
        core: &mut Core<T>,
        mut offer: Offer<T>,
        mut to_store: Box<ToStore<T>>,
        in_turn: bool,
        deferred: &mut Deferred<T>,
    ) -> Result<u64, Declined<T>> {
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
            return Err(Declined { offer, reason });
        }
        self.read_terms(core, &mut offer);
        let number = if fit == Fit::Now && core.backlog.is_empty() {
            core.buffer.push(offer.message, offer.terms)
        } else {
            let number = core.buffer.skip();
            let since = offer.terms.since;
            core.backlog.push(number, to_store.size(), since);
            if offer.terms.receipt {
                core.backlog.receipts.insert(number, offer.message.clone());
            }
            if let Some(expires) = offer.terms.expires {
                core.backlog.expires.insert(number, expires);
            }
            to_store.message = Some(offer.message);
            number
        };
        core.changed = true;
        core.storing += 1;
        if let Some(store) = &core.store {
            store.append(number, *to_store);
            if store.on_task {
                deferred.wakers.extend(core.task.waker.take());
            }
        }
        Ok(number)
    }

    /// Sets the terms that depend on the time and on the number.
    fn read_terms(&self, core: &mut Core<T>, offer: &mut Offer<T>) {
        let limit = offer.importance.limit();
        if core.task.waker.is_some() || limit.is_some() {
            core.now = self.nanos(Instant::now());
        }
        let terms = &mut offer.terms;
        terms.since = core.now;
        terms.expires = limit.map(|limit| {
            let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
            core.now.saturating_add(limit)
        });
        if matches!(self.ids, Ids::Numbers) {
            terms.id = core.buffer.next_number();
        }
    }

    /// [`accept`](Self::accept) under the lock.
    #[allow(
        clippy::result_large_err,
        reason = "the offer comes back to be made again"
    )]
    pub(super) fn try_accept(&self, offer: Offer<T>, in_turn: bool) -> Result<u64, Declined<T>> {
        let mut deferred = Deferred::new();
        let accepted = self.accept(&mut self.lock(), offer, in_turn, &mut deferred);
        deferred.run();
        accepted
    }
}

/// Whether a message of this size fits into this room.
fn fits((bytes, count): (usize, usize), size: usize) -> bool {
    size <= bytes && count > 0
}

/// Drops the offered message. It still gets a number, and its receipt reports `Overflowed`.
fn drop_newest<T: Message>(core: &mut Core<T>, offer: Offer<T>, deferred: &mut Deferred<T>) -> u64 {
    let number = core.buffer.skip();
    core.counts.dropped += 1;
    core.changed = true;
    if offer.terms.receipt {
        let reason = UndeliveredReason::Overflowed;
        core.failed.insert(number, (offer.message, reason));
    } else {
        deferred.messages.push(offer.message);
    }
    number
}
