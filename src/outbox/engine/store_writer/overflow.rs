//! What happens when the store has no room.
//!
//! If the store fails with `QuotaExceeded`, the messages of the batch are tried one by one, and the overflow policy
//! applies to each that does not fit. With `Overflow::Wait` the batch stays here (`is_full`) until a removal has made
//! room. Jobs are still taken meanwhile: removals are among them.

use super::StoreWriter;
use super::call::call;
use crate::outbox::engine::shared::OutboxShared;
use crate::outbox::engine::store_jobs::{Job, Waiting};
use crate::outbox::message::Message;
use crate::outbox::overflow::Overflow;
use crate::outbox::refused::{NotStoredReason, RefusedReason};
use crate::outbox::store::Store;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use tokio::time::Instant;

impl<T: Message> StoreWriter<T> {
    /// The store has no room for the batch: appends its messages one by one, and applies the overflow policy to those
    /// that do not fit.
    pub(super) fn append_singly(&mut self) {
        self.give_up_settled(&self.removed.clone());
        let mut waiting = VecDeque::from(std::mem::take(&mut self.waiting));
        let mut batch = VecDeque::from(std::mem::take(&mut self.batch));
        self.remove(Instant::now());
        while let (Some(next), Some(record)) = (waiting.pop_front(), batch.pop_front()) {
            let result = call(&mut self.store, |store| {
                store.append(std::slice::from_ref(&record))
            });
            match result {
                Ok(()) => {
                    if let Some(shared) = self.shared.upgrade() {
                        shared.stored(std::slice::from_ref(&next));
                    }
                    next.answer(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::QuotaExceeded => {
                    if !self.overflow(next, &record, &error, &mut waiting, &mut batch) {
                        break;
                    }
                }
                Err(error) => {
                    let why = NotStoredReason::new(&error);
                    self.refuse(next, &RefusedReason::NotStored(why));
                }
            }
        }
        self.bytes = batch.iter().map(|(_, record)| record.len()).sum();
        self.batch = batch.into();
        self.waiting = waiting.into();
    }

    /// Takes messages out of the batch that were settled while they waited for room, because their time was over. Stored
    /// now, they would stay, and the next outbox on this store would deliver them.
    pub(super) fn give_up_settled(&mut self, settled: &[u64]) {
        for number in settled {
            let place = self
                .batch
                .binary_search_by_key(number, |&(number, _)| number);
            let Ok(place) = place else { continue };
            let (_, record) = self.batch.remove(place);
            self.bytes = self.bytes.saturating_sub(record.len());
            let waiting = self.waiting.remove(place);
            if let Some(shared) = self.shared.upgrade() {
                shared.given_up();
            }
            // The receipt reports what became of the message.
            waiting.answer(Ok(()));
        }
    }

    /// Applies the overflow policy to a message that does not fit into the store. Returns whether the next messages
    /// can be tried.
    fn overflow(
        &mut self,
        next: Waiting<T>,
        record: &(u64, Bytes),
        error: &io::Error,
        waiting: &mut VecDeque<Waiting<T>>,
        batch: &mut VecDeque<(u64, Bytes)>,
    ) -> bool {
        let Some(shared) = self.shared.upgrade() else {
            return true;
        };
        let empty = call(&mut self.store, Store::totals).is_ok_and(|(count, _)| count == 0);
        let refused = match shared.overflow {
            // It does not even fit into the empty store.
            _ if empty => RefusedReason::NotStored(NotStoredReason::new(error)),
            Overflow::Refuse => RefusedReason::Full,
            Overflow::Wait if next.stored.is_closed() => RefusedReason::Full,
            Overflow::Wait => {
                waiting.push_front(next);
                batch.push_front(record.clone());
                self.is_full = true;
                return false;
            }
            Overflow::DropOldest if self.drop_oldest(&shared, next.number) => {
                waiting.push_front(next);
                batch.push_front(record.clone());
                return true;
            }
            Overflow::DropOldest | Overflow::DropNewest => {
                self.drop_newest(&shared, next);
                return true;
            }
        };
        self.refuse(next, &refused);
        true
    }

    /// Makes room in the store for message `number`. Returns whether another message was dropped.
    ///
    /// The order is: messages in memory that are not written on this connection, then the backlog, then written
    /// messages.
    fn drop_oldest(&mut self, shared: &OutboxShared<T>, number: u64) -> bool {
        if let Some(oldest) = shared.evict_important(number, false) {
            return call(&mut self.store, |store| store.remove(&[oldest])).is_ok();
        }
        let from = shared.lock().backlog.from();
        let page = call(&mut self.store, |store| store.recover_page(from, 1));
        let first = page.ok().and_then(|page| page.into_iter().next());
        if let Some((oldest, record)) = first.filter(|_| !shared.lock().backlog.is_empty()) {
            shared.drop_from_backlog(oldest, record.len());
            let removed = call(&mut self.store, |store| store.remove(&[oldest]));
            if removed.is_err() {
                // It is dropped, and must not come back.
                self.note(Job::Remove(vec![oldest]), Instant::now());
            }
            return removed.is_ok();
        }
        match shared.evict_important(number, true) {
            Some(oldest) => call(&mut self.store, |store| store.remove(&[oldest])).is_ok(),
            None => false,
        }
    }

    /// Drops the message that does not fit. Its receipt reports `Overflowed`.
    fn drop_newest(&self, shared: &OutboxShared<T>, mut next: Waiting<T>) {
        if let Some(message) = shared.not_stored(&mut next) {
            shared.overflowed(next.number, message, next.has_receipt);
        }
        let number = next.number;
        if !next.answer(Ok(())) {
            // The sender was dropped before it could return the receipt.
            shared.forget_receipt(number);
        }
    }
}
