//! How the outbox accepts messages: immediately, when there is room, or when the store has written them.
//!
//! # The ways in
//!
//! | | there is room | there is none |
//! |---|---|---|
//! | best effort, or no store | `accept` puts it into the buffer | `wait` until the wait queue grants room |
//! | important, with a store | `accept_stored`, then wait for the commit | `wait` until the writer has caught up |
//!
//! A number is given under the lock, at the moment of acceptance. So the order of the numbers is the order of the
//! messages, and a future that is dropped while it waits leaves no gap and no message.
//!
//! # Fairness
//!
//! A sender that finds others waiting does not overtake them, unless they were passed over: see
//! [`WaitQueue`](crate::outbox::queue::wait_queue::WaitQueue).

use super::core::{Core, Deferred};
use super::shared::OutboxShared;
use super::store_jobs::{Stored, ToStore};
use crate::outbox::confirm::Ids;
use crate::outbox::message::{Importance, Message};
use crate::outbox::overflow::Overflow;
use crate::outbox::queue::block::Terms;
use crate::outbox::queue::buffer::Fit;
use crate::outbox::refused::{OutboxError, RefusedReason};
use crate::outbox::undelivered::UndeliveredReason;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use tokio::sync::oneshot;
use tokio::task::coop;
use tokio::time::Instant;

/// A message that a sender offers, before the outbox has accepted it.
struct Offer<T> {
    message: T,
    terms: Terms,
    importance: Importance,
    /// The record for the store. `accept` takes it when it accepts the message.
    ///
    /// In a box, because most offers have none, and an offer is moved several times.
    to_store: Option<Box<ToStore<T>>>,
}

/// An offer that was not accepted, and why. The offer is kept so that it can be made again.
struct Declined<T> {
    offer: Offer<T>,
    reason: RefusedReason,
}

impl<T> From<Declined<T>> for OutboxError<T> {
    fn from(declined: Declined<T>) -> Self {
        Self::new(declined.offer.message, declined.reason)
    }
}

impl<T: Message> OutboxShared<T> {
    /// The terms of a message in the queue; `None` if its size does not fit into 32 bits.
    pub(crate) fn terms(
        &self,
        message: &T,
        importance: Importance,
        receipt: bool,
    ) -> Option<Terms> {
        let (key, priority) = self.ranking.rank(message);
        Some(Terms {
            size: u32::try_from(message.size()).ok()?,
            id: match &self.ids {
                Ids::Numbers => 0,
                Ids::OfMessage(id) => id(message),
            },
            since: 0,
            expires: None,
            best_effort: importance.is_best_effort(),
            receipt,
            key,
            priority,
        })
    }

    /// Prepares a message. Calls the user's `Message::size` and the id function, without the lock.
    fn offer(
        &self,
        message: T,
        importance: Importance,
        receipt: bool,
    ) -> Result<Offer<T>, OutboxError<T>> {
        match self.terms(&message, importance, receipt) {
            Some(terms) => Ok(Offer {
                message,
                terms,
                importance,
                to_store: None,
            }),
            None => Err(OutboxError::new(message, RefusedReason::TooLarge)),
        }
    }

    /// Accepts the message if there is room. Waiting senders go first, unless it is this sender's turn (`in_turn`).
    #[inline]
    #[allow(
        clippy::result_large_err,
        reason = "the offer comes back to be made again"
    )]
    fn accept(
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
                Overflow::DropOldest => {
                    while core.buffer.fit(size) == Fit::Later {
                        if core.buffer.outranks(offer.terms.priority) {
                            return Ok(drop_newest(core, offer, deferred));
                        }
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
    fn try_accept(&self, offer: Offer<T>, in_turn: bool) -> Result<u64, Declined<T>> {
        let mut deferred = Deferred::new();
        let accepted = self.accept(&mut self.lock(), offer, in_turn, &mut deferred);
        deferred.run();
        accepted
    }

    /// `Outbox::try_send`. `receipt` says whether somebody will hold a receipt.
    pub(crate) fn try_send(
        &self,
        message: T,
        importance: Importance,
        receipt: bool,
    ) -> Result<u64, OutboxError<T>> {
        if self.is_durable() && !importance.is_best_effort() {
            return Err(OutboxError::new(message, RefusedReason::MustAwait));
        }
        let offer = self.offer(message, importance, receipt)?;
        Ok(self.try_accept(offer, false)?)
    }

    /// `Outbox::send`. Returns the number of the accepted message.
    ///
    /// # Cancel safety
    ///
    /// Before the message is accepted, dropping the future drops the message. An important message of a durable outbox
    /// is accepted before it is stored: if the future is dropped in between, the message is still stored and
    /// delivered.
    pub(crate) async fn send(
        self: &Arc<Self>,
        message: T,
        importance: Importance,
        receipt: bool,
    ) -> Result<u64, OutboxError<T>> {
        // A loop of sends must let other tasks run, the outbox's task among them. A send costs about a tenth of
        // what usually consumes a unit of tokio's budget, so only every eighth send consumes one.
        let sent = self.sent.load(Relaxed);
        // Not atomic: two concurrent senders may count as one, which is harmless.
        self.sent.store(sent.wrapping_add(1), Relaxed);
        if sent.is_multiple_of(8) {
            coop::consume_budget().await;
        }
        let offer = self.offer(message, importance, receipt)?;
        match self.to_bytes {
            Some(to_bytes) if !importance.is_best_effort() => {
                let record = to_bytes(&offer.message);
                Box::pin(self.send_stored(offer, record)).await
            }
            _ => match self.try_accept(offer, false) {
                Ok(number) => Ok(number),
                Err(declined) => Box::pin(self.wait_if_full(declined)).await,
            },
        }
    }

    /// Sends an important message, and waits until the store has written it.
    async fn send_stored(
        self: &Arc<Self>,
        mut offer: Offer<T>,
        record: bytes::Bytes,
    ) -> Result<u64, OutboxError<T>> {
        let (to_store, stored): (_, oneshot::Receiver<Stored<T>>) =
            ToStore::new(record, offer.terms.receipt);
        offer.to_store = Some(Box::new(to_store));
        let has_receipt = offer.terms.receipt;
        let number = match self.try_accept(offer, false) {
            Ok(number) => number,
            Err(declined) => Box::pin(self.wait_if_full(declined)).await?,
        };
        let mut unclaimed = Unclaimed {
            shared: self,
            number: has_receipt.then_some(number),
        };
        let stored = stored.await;
        unclaimed.number = None;
        match stored {
            Ok(stored) => stored.map(|()| number),
            // The writer dropped the channel: the message was dropped on overflow, or the outbox ended first.
            // The receipt reports which.
            Err(_) => Ok(number),
        }
    }

    /// Waits for room, if that is what the offer lacked and the overflow policy says so.
    async fn wait_if_full(self: &Arc<Self>, declined: Declined<T>) -> Result<u64, OutboxError<T>> {
        let waits = declined.offer.to_store.is_some() || self.overflow == Overflow::Wait;
        match declined.reason {
            RefusedReason::Full if waits => self.wait(declined.offer).await,
            _ => Err(declined.into()),
        }
    }

    /// Waits in the wait queue until the message is accepted.
    async fn wait(self: &Arc<Self>, offer: Offer<T>) -> Result<u64, OutboxError<T>> {
        let to_store = offer.to_store.as_ref();
        let (for_store, size) = match to_store {
            Some(to_store) => (true, to_store.size()),
            None => (false, offer.terms.size as usize),
        };
        let waiting = Waiting::new(self, for_store, size);
        let mut offer = Some(offer);
        poll_fn(|cx| {
            let Some(next) = offer.take() else {
                return Poll::Pending;
            };
            let mut deferred = Deferred::new();
            let accepted = {
                let mut core = self.lock();
                let room = match for_store {
                    true => core.store_room(),
                    false => core.room(),
                };
                let turn = core
                    .waiters(for_store)
                    .poll(waiting.ticket, room, || cx.waker().clone());
                match core.phase.refused() {
                    None if !turn => {
                        offer = Some(next);
                        return Poll::Pending;
                    }
                    _ => self.accept(&mut core, next, true, &mut deferred),
                }
            };
            deferred.run();
            match accepted {
                Err(Declined {
                    offer: full,
                    reason: RefusedReason::Full,
                }) => {
                    offer = Some(full);
                    Poll::Pending
                }
                accepted => Poll::Ready(accepted.map_err(OutboxError::from)),
            }
        })
        .await
    }
}

/// Whether a message of this size fits into this room.
fn fits((bytes, count): (usize, usize), size: usize) -> bool {
    size <= bytes && count > 0
}

/// A message that is being stored, and whose receipt does not exist yet. If the sender is dropped, this forgets the
/// receipt, so that the outbox does not keep the outcome for ever.
struct Unclaimed<'a, T: Message> {
    shared: &'a OutboxShared<T>,
    number: Option<u64>,
}

impl<T: Message> Drop for Unclaimed<'_, T> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.shared.forget_receipt(number);
        }
    }
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

/// A sender in the wait queue. Dropping it leaves the queue.
struct Waiting<'a, T: Message> {
    shared: &'a OutboxShared<T>,
    for_store: bool,
    ticket: u64,
}

impl<'a, T: Message> Waiting<'a, T> {
    fn new(shared: &'a OutboxShared<T>, for_store: bool, size: usize) -> Self {
        let ticket = shared.lock().waiters(for_store).enter(size);
        Self {
            shared,
            for_store,
            ticket,
        }
    }
}

impl<T: Message> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        let mut deferred = Deferred::new();
        {
            let mut core = self.shared.lock();
            let waiters = core.waiters(self.for_store);
            waiters.leave(self.ticket);
            if !waiters.is_empty() {
                core.now = self.shared.nanos(Instant::now());
                core.room_changed(&mut deferred);
                // The task has to watch the new grants: see `pass_on`.
                deferred.wakers.extend(core.task.waker.take());
            }
        }
        deferred.run();
    }
}
