//! Which messages are written next, and what a lost connection makes of those that were written.

use super::super::block::Block;
use super::Buffer;
use super::settled::{Outcome, Settled};
use std::collections::BTreeSet;

/// A message to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken<T> {
    pub(crate) number: u64,
    /// Its place among all that are written. It grows from message to message.
    pub(crate) position: u64,
    /// 1 when it is written for the first time.
    pub(crate) attempt: u8,
    /// When it was accepted.
    pub(crate) since: u64,
    pub(crate) message: T,
}

/// Limits of one call of `take`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Stop when the sizes of the messages reach this many bytes. One message is always taken.
    pub(crate) bytes: usize,
    /// At most this many messages may be written and held at once.
    pub(crate) in_flight: usize,
    /// Only messages below this number.
    pub(crate) below: u64,
    /// No message after this one; with priorities no message but this one and those of its key before it.
    pub(crate) alone: Option<u64>,
}

impl Budget {
    /// Only messages below this number, if they have no priorities.
    fn limit(&self) -> u64 {
        let alone = self.alone.map_or(u64::MAX, |number| number + 1);
        self.below.min(alone)
    }
}

impl<T> Buffer<T> {
    /// Whether a message below `limit` is to be written.
    pub(crate) fn has_below(&self, limit: u64) -> bool {
        match &self.order {
            None => self.next_to_write().is_some_and(|number| number < limit),
            Some(order) => order.next(limit, None).is_some(),
        }
    }

    /// Whether the budget lets a message be written, apart from its bytes and its count.
    pub(crate) fn can_take(&self, budget: &Budget) -> bool {
        match (&self.order, budget.limit()) {
            (Some(order), _) => order.next(budget.below, budget.alone).is_some(),
            (None, u64::MAX) => self.has_more(),
            (None, limit) => self.has_below(limit),
        }
    }

    /// The lowest number that is to be written.
    pub(super) fn next_to_write(&self) -> Option<u64> {
        let blocks = self.blocks.range(self.block_from(self.cursor)..);
        let mut numbers = blocks.flat_map(Block::held).map(|(number, _)| number);
        numbers.find(|&number| number >= self.cursor)
    }

    /// Takes the next messages to be written. Returns how many of them had been written before.
    ///
    /// It settles messages that it finds expired at `now`.
    pub(crate) fn take(
        &mut self,
        budget: Budget,
        now: u64,
        batch: &mut Vec<Taken<T>>,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) -> u64
    where
        T: Clone,
    {
        if self.order.is_some() {
            return self.take_in_order(budget, now, batch, settle);
        }
        let mut again = 0;
        let mut room = budget.bytes;
        let mut expired = false;
        let limit = budget.limit().min(self.tail);
        let start = self.block_from(self.cursor);
        'blocks: for block in self.blocks.range_mut(start..) {
            let first = block.first();
            let skip = block.index_from(self.cursor).max(block.head);
            for slot in &mut block.slots[skip..] {
                let number = slot.number(first);
                if number >= limit || room == 0 || self.written >= budget.in_flight {
                    break 'blocks;
                }
                let Some(message) = &slot.message else {
                    self.cursor = number + 1;
                    continue;
                };
                if slot.expires <= now {
                    expired = true;
                    self.cursor = number;
                    break 'blocks;
                }
                self.cursor = number + 1;
                slot.attempts = slot.attempts.saturating_add(1);
                again += u64::from(number < self.fresh);
                self.written += 1;
                room = room.saturating_sub((slot.size as usize).max(1));
                batch.push(Taken {
                    number,
                    position: number,
                    attempt: slot.attempts,
                    since: slot.since,
                    message: message.clone(),
                });
            }
        }
        self.fresh = self.fresh.max(self.cursor);
        if expired {
            self.expire(now, settle);
            if batch.is_empty() {
                return again + self.take(budget, now, batch, settle);
            }
        }
        again
    }

    /// The connection is lost. Held messages are to be written again, and written best-effort messages are settled.
    pub(crate) fn rewind(&mut self, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        let cursor = self.cursor;
        let lost: Vec<u64> = match &self.order {
            None => {
                let blocks = self.blocks.iter();
                let written = blocks.take_while(|block| block.number(0) < cursor);
                let held = written.flat_map(Block::held);
                let lost = held.filter(|(number, slot)| *number < cursor && slot.is_best_effort());
                lost.map(|(number, _)| number).collect()
            }
            Some(order) => {
                let written = order.written().map(|(_, number)| number);
                let mut lost: Vec<u64> = { written }
                    .filter(|&number| self.is_best_effort(number))
                    .collect();
                lost.sort_unstable();
                lost
            }
        };
        for number in lost {
            self.settle(number, Outcome::Unconfirmed, settle);
        }
        self.free_gone(BTreeSet::clear);
        self.written = 0;
        match &mut self.order {
            None => self.cursor = self.first().unwrap_or(self.tail).min(cursor),
            Some(order) => order.rewind(),
        }
    }
}
