//! How messages leave the buffer: settled one by one, expired, or dropped to make room.

use super::super::block::Block;
use super::settled::{Outcome, Settled};
use super::{Buffer, Ids};
use std::collections::BTreeSet;

impl<T> Buffer<T> {
    /// Settles the expired messages.
    pub(crate) fn expire(&mut self, now: u64, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        if self.earliest > now {
            return;
        }
        let mut earliest = u64::MAX;
        let mut expired = Vec::new();
        for (number, slot) in self.blocks.iter().flat_map(Block::held) {
            if slot.expires > now {
                earliest = earliest.min(slot.expires);
                continue;
            }
            // Keep the message, so that `gone` stays bounded.
            if self.is_written(number) && !self.named && self.gone.len() >= self.max_len {
                continue;
            }
            let outcome = match slot.attempts {
                0 => Outcome::Expired,
                _ => Outcome::Unconfirmed,
            };
            expired.push((number, outcome));
        }
        self.earliest = earliest;
        for (number, outcome) in expired {
            self.drop_unanswered(number, outcome, settle);
        }
    }

    /// Frees places of `gone`. What [`expire`](Self::expire) has kept for the lack of one may expire now.
    pub(super) fn free_gone(&mut self, free: impl FnOnce(&mut BTreeSet<u64>)) {
        if self.gone.len() >= self.max_len {
            self.earliest = 0;
        }
        free(&mut self.gone);
    }

    /// When [`expire`](Self::expire) may next find a message. It may be early, but never late.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        (self.earliest != u64::MAX).then_some(self.earliest)
    }

    /// Drops the oldest message that is not written on this connection. If there is none, drops the oldest message.
    /// With priorities the least urgent messages come first.
    pub(crate) fn evict(&mut self, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        let victim = match &self.order {
            None => self.next_to_write().or_else(|| self.first()),
            Some(order) => self.victim_in_order(order),
        };
        if let Some(number) = victim {
            self.drop_unanswered(number, Outcome::Overflowed, settle);
        }
    }

    /// Drops the oldest important message below `limit`, and returns its number. Unless `written_too`, only messages
    /// that are not written on this connection count.
    pub(crate) fn evict_important(
        &mut self,
        limit: u64,
        written_too: bool,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) -> Option<u64> {
        let number = match &self.order {
            None => {
                let least = if written_too { 0 } else { self.cursor };
                let mut held = self.blocks.iter().flat_map(Block::held);
                let (number, _) =
                    held.find(|&(number, slot)| number >= least && !slot.is_best_effort())?;
                (number < limit).then_some(number)?
            }
            Some(order) => {
                let written = order.written().map(|(_, number)| number);
                let written = written.take(if written_too { usize::MAX } else { 0 });
                let mut all = order.least_urgent().chain(written);
                all.find(|&number| number < limit && !self.is_best_effort(number))?
            }
        };
        self.drop_unanswered(number, Outcome::Overflowed, settle);
        Some(number)
    }

    /// Settles a message that the peer may still reply to.
    fn drop_unanswered(
        &mut self,
        number: u64,
        outcome: Outcome,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        if let Some(position) = self.position(number).filter(|_| !self.named) {
            self.gone.insert(position);
        }
        self.settle(number, outcome, settle);
    }

    /// Settles a message that cannot be delivered.
    pub(crate) fn refuse(&mut self, number: u64, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        self.settle(number, Outcome::Refused, settle);
    }

    /// Settles a held message. Does nothing if the number is not held.
    pub(super) fn settle(
        &mut self,
        number: u64,
        outcome: Outcome,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        if let Some((place, index)) = self.locate(number) {
            self.settle_at(place, index, outcome, settle);
        }
    }

    /// Settles the message of a slot.
    #[inline]
    pub(super) fn settle_at(
        &mut self,
        place: usize,
        index: usize,
        outcome: Outcome,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        let last = self.blocks.len() - 1;
        let block = &mut self.blocks[place];
        let number = block.number(index);
        let slot = &mut block.slots[index];
        let Some(message) = slot.message.take() else {
            return;
        };
        let settled = Settled {
            number,
            message,
            outcome,
            best_effort: slot.is_best_effort(),
            receipt: slot.has_receipt(),
        };
        self.len -= 1;
        self.bytes -= slot.size as usize;
        let was_written = match &mut self.order {
            None => number < self.cursor,
            Some(order) => order.remove(number, slot.id),
        };
        self.written -= usize::from(was_written);
        if let Ids::Index(index) = &mut self.ids {
            index.remove(&(slot.id, number));
        }
        block.live -= 1;
        block.advance();
        // Invariant 6: free the block, or use it for the next numbers.
        if block.live == 0 {
            if place == last {
                block.renew(self.tail);
            } else {
                self.blocks.remove(place);
            }
        }
        settle(settled);
    }
}
