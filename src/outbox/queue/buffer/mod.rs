//! The messages that an outbox holds. Pure: no I/O, no clock, no runtime.
//!
//! Messages are ordered by their numbers, unless they have priorities: see `order.rs`. The cursor separates the
//! messages that are written on the present connection from the others:
//!
//! ```text
//!   held, written on this connection │ held, to be written (again)  │ held, never written
//!   ─────────────────────────────────┼──────────────────────────────┼────────────────────
//!                                 cursor                          fresh              tail
//! ```
//!
//! # Invariants
//!
//! 1. A pushed message is held until it is settled. It is settled exactly once.
//! 2. `take` returns held messages from the cursor on, in order, each message once between two rewinds. With priorities
//!    it returns them in the order that `order.rs` defines, and `cursor` and `fresh` are not used.
//! 3. Only a message that was written can be confirmed.
//! 4. After a rewind every held message is to be written. A best-effort message that was written is settled
//!    by the rewind as unconfirmed, so it is never written twice.
//! 5. `len` and `bytes` are those of the held messages. `fit` keeps them within the capacity.
//! 6. Only blocks with a held message take memory, and one more. Gaps in the numbers cost nothing.
//!
//! # Costs
//!
//! | | time |
//! |---|---|
//! | `push`, `take`, `confirm_below` | constant for each message |
//! | `confirm_id`, ids that grow | logarithmic: binary search over blocks and slots |
//! | `confirm_id`, other ids | logarithmic, with an index of about 27 bytes for each message |
//! | `expire`, when something has expired | linear |

use super::block::{Block, Terms};
use super::order::Order;
use std::collections::{BTreeSet, VecDeque};

/// How a message was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Confirmed,
    /// Its time ran out before it was written.
    Expired,
    /// It was written, and the connection was lost or its time ran out.
    Unconfirmed,
    /// The encoder, the peer, or a limit of attempts refused it.
    Refused,
    /// It was dropped to make room.
    Overflowed,
}

/// A message that has left the buffer.
#[derive(Debug)]
pub(crate) struct Settled<T> {
    pub(crate) number: u64,
    pub(crate) message: T,
    pub(crate) outcome: Outcome,
    pub(crate) best_effort: bool,
    pub(crate) receipt: bool,
}

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

/// Whether a message fits into the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    Now,
    /// Not before other messages are settled.
    Later,
    Never,
}

/// The messages that an outbox holds in memory.
#[derive(Debug)]
pub(crate) struct Buffer<T> {
    /// In the order of their numbers, none empty. Each but the last has a held message in it.
    pub(crate) blocks: VecDeque<Block<T>>,
    /// The number of the next message: above all numbers in `blocks`.
    tail: u64,
    /// Above the numbers of all messages that are written on this connection; at most `tail`.
    pub(super) cursor: u64,
    /// Above the numbers of all messages that were ever written; between `cursor` and `tail`.
    pub(super) fresh: u64,
    /// Held messages.
    len: usize,
    /// Held messages below `cursor`.
    pub(super) written: usize,
    /// The total size of the held messages.
    bytes: usize,
    max_bytes: usize,
    max_len: usize,
    /// No held message expires before this time.
    earliest: u64,
    pub(super) ids: Ids,
    /// Which messages go before others, if they have priorities.
    pub(super) order: Option<Box<Order>>,
    /// Whether the peer's replies name messages. Otherwise they may count messages, see `gone`.
    pub(super) named: bool,
    /// The positions of messages that are written on this connection and were dropped without a reply. A reply that
    /// counts messages counts these too. Without this set, such a reply would confirm a message that the peer did not
    /// mean.
    pub(super) gone: BTreeSet<u64>,
}

/// How a message is found by its id.
#[derive(Debug)]
pub(super) enum Ids {
    /// The ids have not fallen since the buffer was last empty, so binary search finds them. This is the last id.
    Growing(u64),
    /// The id and the number of every held message.
    Index(BTreeSet<(u64, u64)>),
}

impl<T> Buffer<T> {
    pub(crate) fn new(max_bytes: usize, max_len: usize) -> Self {
        Self {
            blocks: VecDeque::new(),
            tail: 0,
            cursor: 0,
            fresh: 0,
            len: 0,
            written: 0,
            bytes: 0,
            max_bytes,
            max_len,
            earliest: u64::MAX,
            ids: Ids::Growing(0),
            order: None,
            named: false,
            gone: BTreeSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Held messages that are written on this connection.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Whether a message is to be written.
    pub(crate) fn has_more(&self) -> bool {
        self.len > self.written
    }

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
    fn next_to_write(&self) -> Option<u64> {
        let blocks = self.blocks.range(self.block_from(self.cursor)..);
        let mut numbers = blocks.flat_map(Block::held).map(|(number, _)| number);
        numbers.find(|&number| number >= self.cursor)
    }

    /// The message that was written first on this connection, of those that will be written again after a loss.
    pub(crate) fn first_written(&self) -> Option<u64> {
        if let Some(order) = &self.order {
            let mut written = order.written().map(|(_, number)| number);
            return written.find(|&number| !self.is_best_effort(number));
        }
        let mut held = self.blocks.iter().flat_map(Block::held);
        let (number, _) = held.find(|(_, slot)| !slot.is_best_effort())?;
        (number < self.cursor).then_some(number)
    }

    /// Uses up a number without a message.
    pub(crate) fn skip(&mut self) -> u64 {
        let number = self.tail;
        self.skip_to(number + 1);
        number
    }

    /// Continues the numbers from this one, if it is above the present ones.
    pub(crate) fn skip_to(&mut self, number: u64) {
        self.tail = self.tail.max(number);
    }

    /// When the oldest held message was accepted.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let block = self.blocks.front()?;
        Some(block.slots.get(block.head)?.since)
    }

    /// How many bytes and how many messages fit now.
    pub(crate) fn room(&self) -> (usize, usize) {
        (
            self.max_bytes.saturating_sub(self.bytes),
            self.max_len.saturating_sub(self.len),
        )
    }

    /// Whether a message of `size` bytes fits.
    pub(crate) fn fit(&self, size: usize) -> Fit {
        if size > self.max_bytes || u32::try_from(size).is_err() {
            Fit::Never
        } else if self.len < self.max_len && self.bytes.saturating_add(size) <= self.max_bytes {
            Fit::Now
        } else {
            Fit::Later
        }
    }

    /// The number that the next message gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.tail
    }

    /// Holds a message under the next number, and returns the number. The caller has checked `fit`.
    pub(crate) fn push(&mut self, message: T, terms: Terms) -> u64 {
        let number = self.tail;
        self.push_at(number, message, terms);
        number
    }

    /// Holds a message under a given number, which must be at least `next_number`.
    pub(crate) fn push_at(&mut self, number: u64, message: T, terms: Terms) {
        debug_assert!(number >= self.tail);
        if self.len == 0 {
            self.ids = Ids::Growing(terms.id);
        }
        self.index(number, terms.id);
        self.earliest = self.earliest.min(terms.expires.unwrap_or(u64::MAX));
        let mut after_gap = false;
        let rejected = match self.blocks.back_mut() {
            Some(block) => {
                if block.live == 0 {
                    block.renew(number);
                }
                after_gap = !block.is_full();
                block.push(number, message, &terms).err()
            }
            None => Some(message),
        };
        if let Some(message) = rejected {
            let mut block = Block::new(number, after_gap);
            // A new block has room for its first number.
            let _ = block.push(number, message, &terms);
            self.blocks.push_back(block);
        }
        self.tail = number + 1;
        self.count(number, &terms);
    }

    /// Counts a message that is held from now on.
    fn count(&mut self, number: u64, terms: &Terms) {
        self.len += 1;
        self.bytes += terms.size as usize;
        if let Some(order) = &mut self.order {
            order.insert(number, terms.key, terms.priority);
        }
    }

    /// Holds a message under a number that was skipped. No held message may have it, and no message from it on may be
    /// written on this connection.
    pub(crate) fn insert_at(&mut self, number: u64, message: T, terms: Terms) {
        if number >= self.tail {
            return self.push_at(number, message, terms);
        }
        debug_assert!(self.order.is_some() || number >= self.cursor.max(self.fresh));
        if self.len == 0 {
            self.ids = Ids::Growing(terms.id);
        }
        // Invariant 6: only the last block may be empty.
        if self.blocks.back().is_some_and(|block| block.live == 0) {
            self.blocks.pop_back();
        }
        let mut place = self.blocks.partition_point(|block| block.end() <= number);
        if let Some(block) = self.blocks.get_mut(place)
            && block.number(0) < number
        {
            let rest = block.split_off(number);
            if block.live == 0 {
                *block = rest;
            } else {
                place += 1;
                if rest.live > 0 {
                    self.blocks.insert(place, rest);
                }
            }
        }
        self.index_between(place, number, terms.id);
        self.earliest = self.earliest.min(terms.expires.unwrap_or(u64::MAX));
        let mut after_gap = false;
        let before = place.checked_sub(1).and_then(|it| self.blocks.get_mut(it));
        let rejected = match before {
            Some(block) => {
                after_gap = !block.is_full();
                block.push(number, message, &terms).err()
            }
            None => Some(message),
        };
        if let Some(message) = rejected {
            let mut block = Block::new(number, after_gap);
            let _ = block.push(number, message, &terms);
            self.blocks.insert(place, block);
        }
        self.count(number, &terms);
    }

    /// Indexes the id of a message that goes between the block before `place` and the one at it.
    fn index_between(&mut self, place: usize, number: u64, id: u64) {
        let before = place.checked_sub(1).and_then(|it| self.blocks.get(it));
        let after = self.blocks.get(place).and_then(|it| it.slots.first());
        let grows = before.is_none_or(|block| block.last_id() <= id)
            && after.is_none_or(|slot| id <= slot.id);
        match &mut self.ids {
            Ids::Growing(last) if grows => *last = if after.is_none() { id } else { *last },
            Ids::Growing(_) => self.index_held(number, id),
            Ids::Index(index) => {
                index.insert((id, number));
            }
        }
    }

    /// Indexes the id of a message at the end.
    fn index(&mut self, number: u64, id: u64) {
        match &mut self.ids {
            Ids::Growing(last) if *last <= id => *last = id,
            Ids::Growing(_) => self.index_held(number, id),
            Ids::Index(index) => {
                index.insert((id, number));
            }
        }
    }

    /// The ids do not grow any more: builds the index of all held messages and this one.
    fn index_held(&mut self, number: u64, id: u64) {
        let held = self.blocks.iter().flat_map(Block::held);
        let mut index: BTreeSet<_> = held.map(|(number, slot)| (slot.id, number)).collect();
        index.insert((id, number));
        self.ids = Ids::Index(index);
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
            let skip = block.index_from(self.cursor).max(block.head);
            for index in skip..block.slots.len() {
                let number = block.number(index);
                if number >= limit || room == 0 || self.written >= budget.in_flight {
                    break 'blocks;
                }
                let slot = &mut block.slots[index];
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

    /// How many bytes and messages fit into one half of the capacity.
    pub(crate) fn half_room(&self) -> (usize, usize) {
        (
            (self.max_bytes / 2).saturating_sub(self.bytes),
            (self.max_len / 2).saturating_sub(self.len),
        )
    }

    /// The capacity: bytes and messages.
    pub(crate) fn capacity(&self) -> (usize, usize) {
        (self.max_bytes, self.max_len)
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

    /// When [`expire`](Self::expire) may next find a message. It may be early, but never late.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        (self.earliest != u64::MAX).then_some(self.earliest)
    }

    /// Settles a message that cannot be delivered.
    pub(crate) fn refuse(&mut self, number: u64, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        self.settle(number, Outcome::Refused, settle);
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
        self.gone.clear();
        self.written = 0;
        match &mut self.order {
            None => self.cursor = self.first().unwrap_or(self.tail).min(cursor),
            Some(order) => order.rewind(),
        }
    }

    /// The held messages, in order, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let held = self.blocks.iter().flat_map(Block::held);
        held.filter_map(|(number, slot)| Some((number, slot.message.as_ref()?)))
    }

    /// Drops all held messages in order. `left` gets the number, the message, and whether it has a receipt.
    pub(crate) fn clear(&mut self, mut left: impl FnMut(u64, T, bool)) {
        for block in std::mem::take(&mut self.blocks) {
            let numbers: Vec<u64> = (0..block.slots.len())
                .map(|index| block.number(index))
                .collect();
            for (number, mut slot) in numbers.into_iter().zip(block.slots) {
                if let Some(message) = slot.message.take() {
                    left(number, message, slot.has_receipt());
                }
            }
        }
        let mut order = self.order.take();
        if let Some(order) = &mut order {
            order.clear();
        }
        *self = Self {
            order,
            tail: self.tail,
            cursor: self.tail,
            fresh: self.tail,
            named: self.named,
            ..Self::new(self.max_bytes, self.max_len)
        };
    }

    /// The message, if it is held.
    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        let (block, index) = self.locate(number)?;
        self.blocks[block].slots[index].message.as_ref()
    }

    fn is_best_effort(&self, number: u64) -> bool {
        let place = self.locate(number);
        place.is_some_and(|(block, index)| self.blocks[block].slots[index].is_best_effort())
    }

    /// The receipt of the message was dropped.
    pub(crate) fn forget_receipt(&mut self, number: u64) {
        if let Some((block, index)) = self.locate(number) {
            self.blocks[block].slots[index].forget_receipt();
        }
    }

    /// The number of the oldest held message.
    pub(crate) fn first(&self) -> Option<u64> {
        let block = self.blocks.front()?;
        (block.live > 0).then(|| block.number(block.head))
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

    /// The index of the first block with a number at or above `number`.
    fn block_from(&self, number: u64) -> usize {
        match self.blocks.back() {
            // Usually the next message to be written is in the last block.
            Some(block) if block.first() <= number => self.blocks.len() - 1,
            _ => self.blocks.partition_point(|block| block.end() <= number),
        }
    }

    /// The block and the slot of a number.
    #[inline]
    pub(super) fn locate(&self, number: u64) -> Option<(usize, usize)> {
        let last = self.blocks.len().checked_sub(1)?;
        // Usually a receipt is dropped soon after its message came, and the oldest message is settled.
        let place = if self.blocks[last].first() <= number {
            last
        } else if number < self.blocks[0].end() {
            0
        } else {
            self.blocks.partition_point(|block| block.end() <= number)
        };
        let index = self.blocks.get(place)?.index_of(number)?;
        Some((place, index))
    }
}
