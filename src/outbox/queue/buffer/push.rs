//! How messages come into the buffer, under which numbers, and how their ids are indexed.

use super::super::block::{Block, Terms};
use super::{Buffer, Ids};
use std::collections::BTreeSet;

impl<T> Buffer<T> {
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

    /// Holds a message under the next number, and returns the number. The caller has checked `fit`.
    #[inline]
    pub(crate) fn push(&mut self, message: T, terms: Terms) -> u64 {
        let number = self.tail;
        self.push_at(number, message, terms);
        number
    }

    /// Holds a message under a given number, which must be at least `next_number`. It is inlined so that the message is
    /// moved once.
    #[inline]
    pub(crate) fn push_at(&mut self, number: u64, message: T, terms: Terms) {
        debug_assert!(number >= self.tail);
        match &mut self.ids {
            Ids::Growing(last) if *last <= terms.id && self.len > 0 => *last = terms.id,
            _ => self.index(number, terms.id),
        }
        if let Some(expires) = terms.expires {
            self.earliest = self.earliest.min(expires);
        }
        self.tail = number + 1;
        self.count(number, &terms);
        match self.blocks.back_mut() {
            Some(block) if block.live > 0 && block.takes(number) => {
                block.push(number, message, &terms);
            }
            _ => self.next_block(number).push(number, message, &terms),
        }
    }

    /// The block for a number that is above all others, and does not go into the last block: that one is empty or full, or
    /// there is none.
    #[cold]
    fn next_block(&mut self, number: u64) -> &mut Block<T> {
        match self.blocks.back_mut() {
            Some(block) if block.live == 0 => block.renew(number),
            last => {
                let after_gap = last.is_some_and(|block| !block.is_full());
                self.blocks.push_back(Block::new(number, after_gap));
            }
        }
        let last = self.blocks.len() - 1;
        &mut self.blocks[last]
    }

    /// Counts a message that is held from now on.
    #[inline]
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
        let before = place.checked_sub(1).and_then(|it| self.blocks.get_mut(it));
        match before {
            Some(block) if block.takes(number) => block.push(number, message, &terms),
            before => {
                let after_gap = before.is_some_and(|block| !block.is_full());
                let mut block = Block::new(number, after_gap);
                block.push(number, message, &terms);
                self.blocks.insert(place, block);
            }
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

    /// Indexes the id of a message at the end: it is the only one, or the ids do not grow.
    fn index(&mut self, number: u64, id: u64) {
        match &mut self.ids {
            _ if self.len == 0 => self.ids = Ids::Growing(id),
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
}
