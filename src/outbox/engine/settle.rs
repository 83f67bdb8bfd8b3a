//! How messages leave the core: confirmed, dropped or refused.
//!
//! | outcome | the receipt | counted in | the store |
//! |---|---|---|---|
//! | `Confirmed` | `Delivered` | `delivered` | removes it |
//! | `Expired`, `Unconfirmed`, `Overflowed` | the reason of the same name, with the message | `dropped` | removes it |
//! | `Refused` by the peer | `Rejected` | `dropped`, `rejected` | as the refusal says: removes or buries it |
//! | `Refused` by the encoder, or after too many attempts | `EncodeFailed`, `TooManyAttempts` | `dropped`, `unsendable` | the same |
//!
//! A message whose receipt is held and has failed moves to `failed`, where the receipt takes it. Every other message is
//! dropped after the lock is released, because its destructor is the program's code. Best-effort messages are in no store.

use super::core::Core;
use super::deferred::{Deferred, Lists};
use super::phase::Phase;
use crate::outbox::message::Message;
use crate::outbox::queue::block::Block;
use crate::outbox::queue::buffer::{Buffer, Outcome, Settled};
use crate::outbox::undelivered::UndeliveredReason;

/// Why a message is refused, and whether the store keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) reason: UndeliveredReason,
    /// The store keeps the message as a dead letter. Otherwise it forgets the message.
    pub(crate) bury: bool,
}

impl<T: Message> Core<T> {
    /// Runs `change`, which settles messages of the buffer, and updates everything that depends on them: receipts,
    /// counts, the store, and waiting senders. Messages with the outcome `Refused` get the reason of `refusal`. Returns
    /// how many messages were confirmed. Does nothing once the outbox has ended: a shutdown has returned the messages.
    pub(crate) fn settle(
        &mut self,
        deferred: &mut Deferred<T>,
        refusal: Option<&Refusal>,
        change: impl FnOnce(&mut Buffer<T>, &mut dyn FnMut(Settled<T>)),
    ) -> u64 {
        if matches!(self.phase, Phase::Over(_)) {
            return 0;
        }
        let Self {
            buffer,
            failed,
            receipts,
            counts,
            store,
            alone,
            ..
        } = self;
        let mut any = false;
        let mut removed = Vec::new();
        let before = counts.delivered;
        change(buffer, &mut |settled: Settled<T>| {
            any = true;
            let reason = match settled.outcome {
                Outcome::Confirmed => {
                    counts.delivered += 1;
                    None
                }
                Outcome::Expired => Some(UndeliveredReason::Expired),
                Outcome::Unconfirmed => Some(UndeliveredReason::Unconfirmed),
                Outcome::Overflowed => Some(UndeliveredReason::Overflowed),
                Outcome::Refused => refusal.map(|refusal| refusal.reason.clone()),
            };
            counts.dropped += u64::from(reason.is_some());
            match reason {
                Some(UndeliveredReason::Rejected(_)) => counts.rejected += 1,
                Some(
                    UndeliveredReason::EncodeFailed(_) | UndeliveredReason::TooManyAttempts(_),
                ) => counts.unsendable += 1,
                _ => {}
            }
            match (&*store, refusal) {
                (Some(store), Some(refusal))
                    if refusal.bury && settled.outcome == Outcome::Refused =>
                {
                    store.bury(settled.number, refusal.reason.to_string());
                }
                (Some(_), _) if !settled.best_effort => removed.push(settled.number),
                _ => {}
            }
            if *alone == Some(settled.number) {
                *alone = None;
            }
            if settled.receipt && !receipts.is_empty() {
                deferred.wakers().extend(receipts.remove(&settled.number));
            }
            match reason {
                Some(reason) if settled.receipt => {
                    failed.insert(settled.number, (settled.message, reason));
                }
                _ => deferred.messages().push(settled.message),
            }
        });
        let confirmed = counts.delivered - before;
        if let Some(store) = store.as_ref().filter(|_| !removed.is_empty()) {
            store.remove(removed);
        }
        if any {
            self.room_changed(deferred);
        }
        confirmed
    }

    /// The fastest form of [`settle`](Self::settle), for confirmations without a store: confirms the oldest block, if all
    /// of it was written before `position`. The caller drops the block without the lock.
    pub(crate) fn confirm_block_below(
        &mut self,
        position: u64,
        deferred: &mut Deferred<T>,
    ) -> Option<Block<T>> {
        if matches!(self.phase, Phase::Over(_)) {
            return None;
        }
        let block = self.buffer.confirm_block_below(position)?;
        if !self.receipts.is_empty() {
            for (number, _) in block.held() {
                deferred.wakers().extend(self.receipts.remove(&number));
            }
        }
        self.alone.take_if(|number| *number < block.end());
        self.counts.delivered += block.live as u64;
        self.room_changed(deferred);
        Some(block)
    }

    /// A faster form of [`settle`](Self::settle) for confirmations without a store, which is the usual case. It
    /// confirms at most `most` messages that were written before `position`. Returns whether there may be more.
    pub(crate) fn confirm_below(
        &mut self,
        position: u64,
        most: u64,
        deferred: &mut Deferred<T>,
    ) -> bool {
        if matches!(self.phase, Phase::Over(_)) {
            return false;
        }
        let before = self.buffer.len();
        let first = self.buffer.first_position().unwrap_or(position);
        let limit = position.min(first.saturating_add(most));
        let Lists { messages, wakers } = deferred.lists();
        let (receipts, alone) = (&mut self.receipts, &mut self.alone);
        self.buffer
            .confirm_below(limit, &mut |settled: Settled<T>| {
                if settled.receipt && !receipts.is_empty() {
                    wakers.extend(receipts.remove(&settled.number));
                }
                if *alone == Some(settled.number) {
                    *alone = None;
                }
                messages.push(settled.message);
            });
        let confirmed = before - self.buffer.len();
        if confirmed > 0 {
            self.counts.delivered += confirmed as u64;
            self.room_changed(deferred);
        }
        confirmed > 0 && limit < position
    }

    /// When a message may expire next.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        let expiries = [self.buffer.next_expiry(), self.backlog.next_expiry()];
        expiries.into_iter().flatten().min()
    }

    /// Settles the expired messages, in memory and in the store. Does nothing once the outbox has ended: the store keeps its messages.
    pub(crate) fn expire(&mut self, now: u64, deferred: &mut Deferred<T>) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        self.settle(deferred, None, |buffer, mut settle| {
            buffer.expire(now, &mut settle);
        });
        let mut removed = Vec::new();
        while let Some((number, copy)) = self.backlog.pop_expired(now, self.stored) {
            removed.push(number);
            if let Some(copy) = copy {
                deferred.wakers().extend(self.receipts.remove(&number));
                let failed = (copy, UndeliveredReason::Expired);
                self.failed.insert(number, failed);
            }
        }
        if let Some(store) = self.store.as_ref().filter(|_| !removed.is_empty()) {
            self.counts.dropped += removed.len() as u64;
            store.remove(removed);
            self.room_changed(deferred);
        }
    }

    /// Records that the time of a new message was over before there was room for it. Returns its number.
    pub(crate) fn expired(&mut self, message: T, receipt: bool, deferred: &mut Deferred<T>) -> u64 {
        let number = self.buffer.skip();
        let why = UndeliveredReason::Expired;
        self.drop_new(number, message, receipt, why, deferred);
        number
    }

    /// Records that a new message was dropped for lack of room.
    pub(crate) fn overflowed(
        &mut self,
        number: u64,
        message: T,
        receipt: bool,
        deferred: &mut Deferred<T>,
    ) {
        let why = UndeliveredReason::Overflowed;
        self.drop_new(number, message, receipt, why, deferred);
    }

    /// Records that a new message was dropped. Its receipt, if it has one, reports why.
    fn drop_new(
        &mut self,
        number: u64,
        message: T,
        receipt: bool,
        why: UndeliveredReason,
        deferred: &mut Deferred<T>,
    ) {
        self.counts.dropped += 1;
        self.changed = true;
        if !receipt {
            return deferred.messages().push(message);
        }
        deferred.wakers().extend(self.receipts.remove(&number));
        self.failed.insert(number, (message, why));
    }
}
