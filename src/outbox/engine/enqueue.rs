//! How the outbox accepts messages: immediately, when there is room, or when the store has written them.
//!
//! # The ways in
//!
//! | | there is room | there is none |
//! |---|---|---|
//! | best effort, or no store | `accept` puts it into the buffer | `wait` until the wait queue grants room, or the message's time is over |
//! | important, with a store | `accept_stored`, then wait for the commit | `wait` until the writer has caught up, or the message's time is over |
//!
//! A number is given under the lock, at the moment of acceptance. So the order of the numbers is the order of the
//! messages, and a future that is dropped while it waits leaves no gap and no message.
//!
//! # Fairness
//!
//! A sender that finds others waiting does not overtake them, unless they were passed over: see
//! [`WaitQueue`](crate::outbox::queue::wait_queue::WaitQueue).

use super::deferred::{Deferred, wake};
use super::offer::Offer;
use super::shared::OutboxShared;
use super::store_jobs::{Stored, ToStore};
use crate::outbox::message::{Importance, Message};
use crate::outbox::overflow::Overflow;
use crate::outbox::refused::{OutboxError, RefusedReason};
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::coop;
use tokio::time::Instant;

impl<T: Message> OutboxShared<T> {
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
        match self.offer(&message, importance, receipt) {
            Some(offer) => self.try_accept(message, offer),
            None => Err(OutboxError::new(message, RefusedReason::TooLarge)),
        }
    }

    /// Lets other tasks run between the sends of a loop, the outbox's task among them.
    #[inline]
    pub(crate) async fn let_others_run(&self) {
        if self.consumes_budget() {
            coop::consume_budget().await;
        }
    }

    /// The same for a sink.
    #[inline]
    pub(crate) fn poll_let_others_run(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.consumes_budget() {
            return pin!(coop::consume_budget()).poll(cx);
        }
        Poll::Ready(())
    }

    /// Whether a send consumes a unit of tokio's budget.
    #[inline]
    fn consumes_budget(&self) -> bool {
        // A send costs about a tenth of what usually consumes a unit, so only every eighth does.
        let sent = self.sent.load(Relaxed);
        // Not atomic: two concurrent senders may count as one, which is harmless.
        self.sent.store(sent.wrapping_add(1), Relaxed);
        // A task without budget yields at each send, so that sends that it polls together keep their order.
        sent.is_multiple_of(8) || !coop::has_budget_remaining()
    }

    /// The first part of a send: accepts the message if nothing has to be awaited, and returns its number. Otherwise the message
    /// comes back in a box, so that the usual result is small enough for registers.
    #[inline]
    pub(crate) fn send_now(
        &self,
        message: T,
        importance: Importance,
        receipt: bool,
    ) -> Result<u64, Box<Unsent<T>>> {
        let Some(offer) = self.offer(&message, importance, receipt) else {
            let error = OutboxError::new(message, RefusedReason::TooLarge);
            return Err(Box::new(Unsent::Refused(error)));
        };
        if let Some(to_bytes) = self.to_bytes
            && !importance.is_best_effort()
        {
            return Err(Box::new(Unsent::ForStore(message, offer, to_bytes)));
        }
        match self.try_accept(message, offer) {
            Ok(number) => Ok(number),
            Err(error) => Err(Box::new(match error.reason() {
                RefusedReason::Full if self.overflow == Overflow::Wait => {
                    Unsent::Full(error.into_message(), offer)
                }
                _ => Unsent::Refused(error),
            })),
        }
    }

    /// The second part of a send.
    ///
    /// # Cancel safety
    ///
    /// Before the message is accepted, dropping the future drops the message. An important message of a durable outbox
    /// is accepted before it is stored: if the future is dropped in between, the message is still stored and
    /// delivered.
    #[cold]
    pub(crate) fn send_later(
        self: &Arc<Self>,
        unsent: Box<Unsent<T>>,
    ) -> Pin<Box<impl Future<Output = Result<u64, OutboxError<T>>>>> {
        Box::pin(async {
            match *unsent {
                Unsent::Refused(error) => Err(error),
                Unsent::Full(message, offer) => self.wait(message, offer, None).await,
                Unsent::ForStore(message, offer, to_bytes) => {
                    let record = to_bytes(&message);
                    self.send_stored(message, offer, record).await
                }
            }
        })
    }

    /// Sends an important message, and waits until the store has written it.
    async fn send_stored(
        self: &Arc<Self>,
        message: T,
        offer: Offer,
        record: Bytes,
    ) -> Result<u64, OutboxError<T>> {
        let has_receipt = offer.terms.receipt;
        let (to_store, stored): (_, oneshot::Receiver<Stored<T>>) =
            ToStore::new(record, has_receipt);
        let mut to_store = Some(to_store);
        let number = match self.try_accept_stored(message, offer, &mut to_store) {
            Err(full) if *full.reason() == RefusedReason::Full => {
                let waiting = self.wait(full.into_message(), offer, to_store);
                Box::pin(waiting).await?
            }
            accepted => accepted?,
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

    /// Waits in the wait queue until the message is accepted, or its time is over.
    async fn wait(
        self: &Arc<Self>,
        message: T,
        mut offer: Offer,
        mut to_store: Option<ToStore<T>>,
    ) -> Result<u64, OutboxError<T>> {
        let (for_store, size) = match &to_store {
            Some(to_store) => (true, to_store.size()),
            None => (false, offer.terms.size as usize),
        };
        // The time of a message counts from the call of `send` on.
        let ends = offer
            .limit
            .and_then(|limit| Instant::now().checked_add(limit));
        let waiting = Waiting::new(self, for_store, size, ends);
        let mut message = Some(message);
        poll_fn(|cx| {
            let Some(next) = message.take() else {
                return Poll::Pending;
            };
            let left = ends.map(|ends| ends.saturating_duration_since(Instant::now()));
            offer.limit = left.or(offer.limit);
            let mut deferred = Deferred::new();
            // Dropped without the lock, as in `poll_receipt`.
            let mut replaced = None;
            let accepted = {
                let mut core = self.lock();
                let room = match for_store {
                    true => core.store_room(),
                    false => core.room(),
                };
                let turn = core.waiters(for_store).poll(
                    waiting.ticket,
                    room,
                    || cx.waker().clone(),
                    &mut replaced,
                );
                match core.phase.refused() {
                    None if left == Some(Duration::ZERO) => {
                        Ok(core.expired(next, offer.terms.receipt, &mut deferred))
                    }
                    None if !turn => {
                        message = Some(next);
                        return Poll::Pending;
                    }
                    _ if for_store => {
                        let (core, to_store) = (&mut core, &mut to_store);
                        self.accept_stored(core, next, offer, to_store, true, &mut deferred)
                    }
                    _ => self.accept(&mut core, next, offer, true, &mut deferred),
                }
            };
            deferred.run();
            match accepted {
                Err(full) if *full.reason() == RefusedReason::Full => {
                    message = Some(full.into_message());
                    Poll::Pending
                }
                accepted => Poll::Ready(accepted),
            }
        })
        .await
    }
}

/// A message that is not accepted yet.
pub(crate) enum Unsent<T> {
    /// It will not be.
    Refused(OutboxError<T>),
    /// It waits for room.
    Full(T, Offer),
    /// The store has to write its record first.
    ForStore(T, Offer, fn(&T) -> Bytes),
}

/// A message that is being stored, and whose receipt does not exist yet. If the sender is dropped, this forgets the
/// receipt, so that the outbox does not keep the outcome forever.
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

/// A sender in the wait queue. Dropping it leaves the queue.
struct Waiting<'a, T: Message> {
    shared: &'a OutboxShared<T>,
    for_store: bool,
    ticket: u64,
}

impl<'a, T: Message> Waiting<'a, T> {
    /// The time of the message is over at `ends`. The task wakes the sender then.
    fn new(
        shared: &'a OutboxShared<T>,
        for_store: bool,
        size: usize,
        ends: Option<Instant>,
    ) -> Self {
        let ends = ends.map_or(u64::MAX, |ends| shared.nanos(ends));
        let mut core = shared.lock();
        let ticket = core.waiters(for_store).enter(size, ends);
        let armed = core.task.armed;
        let task = core.task.waker.take_if(|_| ends < armed);
        drop(core);
        if let Some(task) = task {
            wake(task);
        }
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
        let waker;
        {
            let mut core = self.shared.lock();
            let waiters = core.waiters(self.for_store);
            waker = waiters.leave(self.ticket);
            if !waiters.is_empty() {
                core.now = self.shared.nanos(Instant::now());
                core.room_changed(&mut deferred);
                // The task has to watch the new grants: see `pass_on`.
                deferred.wakers().extend(core.task.waker.take());
            }
        }
        drop(waker);
        deferred.run();
    }
}
