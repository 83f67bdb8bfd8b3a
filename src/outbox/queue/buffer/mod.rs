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

mod confirm;
mod ordered;
mod push;
mod settle;
mod settled;
mod take;

pub(crate) use settled::{Outcome, Settled};
pub(crate) use take::{Budget, Taken};

use super::block::Block;
use super::order::Order;
use std::collections::{BTreeSet, VecDeque};

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
    cursor: u64,
    /// Above the numbers of all messages that were ever written; between `cursor` and `tail`.
    fresh: u64,
    /// Held messages.
    len: usize,
    /// Held messages below `cursor`.
    written: usize,
    /// The total size of the held messages.
    bytes: usize,
    max_bytes: usize,
    max_len: usize,
    /// No held message expires before this time.
    earliest: u64,
    ids: Ids,
    /// Which messages go before others, if they have priorities.
    order: Option<Box<Order>>,
    /// Whether the peer's replies name messages. Otherwise they may count messages, see `gone`.
    named: bool,
    /// The positions of messages that are written on this connection and were dropped without a reply. A reply that
    /// counts messages counts these too. Without this set, such a reply would confirm a message that the peer did not
    /// mean.
    gone: BTreeSet<u64>,
}

/// How a message is found by its id.
#[derive(Debug)]
enum Ids {
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
    #[inline]
    pub(crate) fn forget_receipt(&mut self, number: u64) {
        match self.blocks.back_mut() {
            // Usually it is the receipt of a new message.
            Some(last) if last.first() <= number => last.forget_receipt(number),
            _ => self.forget_older_receipt(number),
        }
    }

    #[cold]
    fn forget_older_receipt(&mut self, number: u64) {
        let place = self.blocks.partition_point(|block| block.end() <= number);
        if let Some(block) = self.blocks.get_mut(place) {
            block.forget_receipt(number);
        }
    }

    /// The number of the oldest held message.
    pub(crate) fn first(&self) -> Option<u64> {
        let block = self.blocks.front()?;
        (block.live > 0).then(|| block.number(block.head))
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
    fn locate(&self, number: u64) -> Option<(usize, usize)> {
        // Usually a receipt is dropped soon after its message came, and the oldest message is settled.
        let last = self.blocks.back()?;
        if last.first() <= number {
            return Some((self.blocks.len() - 1, last.index_of(number)?));
        }
        let place = match self.blocks.front() {
            Some(first) if number < first.end() => 0,
            _ => self.blocks.partition_point(|block| block.end() <= number),
        };
        Some((place, self.blocks.get(place)?.index_of(number)?))
    }
}
