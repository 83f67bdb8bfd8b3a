//! What is queued and what is unconfirmed. Pure: no I/O, no clock, no runtime.
//!
//! Messages stand in one order, that of their numbers, from the oldest that is held to the newest. The
//! cursor stands between those that are written on this connection and those that are not:
//!
//! ```text
//!   held, written on this connection │ held, to be written (again)  │ held, never written
//!   ─────────────────────────────────┼──────────────────────────────┼────────────────────
//!                                 cursor                          fresh              tail
//! ```
//!
//! # Invariants
//!
//! 1. What is pushed is held until it is settled, and is settled once.
//! 2. `take` gives what is held from the cursor on, in order, each message once between two rewinds.
//! 3. Only what was ever written is confirmed.
//! 4. After a rewind all that is held is to be written; a best-effort message that was written is settled
//!    as unconfirmed then, so none is written twice.
//! 5. `len` and `bytes` are those of what is held, and within the capacity.
//! 6. Memory is that of the blocks with a held message in them, and of one more.

use std::collections::{BTreeSet, VecDeque};

/// Slots in a block: enough to make the block's own 48 bytes and its allocation small change, and few
/// enough that a last message holds little back.
const BLOCK: usize = 64;

/// How a message is kept. Times are whatever the caller counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) size: u32,
    pub(crate) id: u64,
    /// When it was accepted.
    pub(crate) since: u64,
    /// Until when it is worth writing; `None` for an important message.
    pub(crate) expires: Option<u64>,
    /// Whether somebody wants to hear what becomes of it.
    pub(crate) receipt: bool,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Confirmed,
    Expired,
    Unconfirmed,
    Refused,
}

/// A message that is held no more.
#[derive(Debug)]
pub(crate) struct Settled<T> {
    pub(crate) number: u64,
    pub(crate) message: T,
    pub(crate) fate: Fate,
    pub(crate) receipt: bool,
}

/// Whether a message may be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    Now,
    /// When something else is settled.
    Later,
    Never,
}

#[derive(Debug)]
pub(crate) struct Buffer<T> {
    /// In the order of their numbers, none empty. Each but the last has a held message in it.
    blocks: VecDeque<Block<T>>,
    /// The number of the next message: above all in `blocks`.
    tail: u64,
    /// Above all that is written on this connection; at most `tail`.
    cursor: u64,
    /// Above all that ever was written; from `cursor` to `tail`.
    fresh: u64,
    /// How many are held,
    len: usize,
    /// how many of them below `cursor`,
    written: usize,
    /// and the sum of their sizes.
    bytes: usize,
    max_bytes: usize,
    max_len: usize,
    /// No best-effort message from `cursor` on expires before this.
    earliest: u64,
    ids: Ids,
}

#[derive(Debug)]
struct Block<T> {
    /// The number of the first slot; the others follow without a gap.
    first: u64,
    /// Slots before this one hold nothing.
    head: usize,
    /// How many hold a message.
    live: usize,
    slots: Vec<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    message: Option<T>,
    id: u64,
    since: u64,
    /// `u64::MAX` for an important message.
    expires: u64,
    size: u32,
    best_effort: bool,
    receipt: bool,
}

/// How a message is found by its id.
#[derive(Debug)]
enum Ids {
    /// Ids have not fallen since the buffer was empty, and this is the last one: search by halves.
    Growing(u64),
    /// Of all that is held: the id, and the number.
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

    /// How many are written on this connection, and held.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Whether something is to be written.
    pub(crate) fn has_more(&self) -> bool {
        self.len > self.written
    }

    /// Whether any below `limit` is to be written.
    pub(crate) fn has_below(&self, limit: u64) -> bool {
        let blocks = self.blocks.range(self.block_from(self.cursor)..);
        blocks
            .take_while(|block| block.first < limit)
            .flat_map(Block::held)
            .any(|(number, _)| (self.cursor..limit).contains(&number))
    }

    /// Numbers go on from this one, if it is above the present ones.
    pub(crate) fn skip_to(&mut self, number: u64) {
        self.tail = self.tail.max(number);
    }

    /// Since when the oldest is held.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let block = self.blocks.front()?;
        Some(block.slots.get(block.head)?.since)
    }

    /// Whether there is room for `size` bytes more.
    pub(crate) fn fit(&self, size: usize) -> Fit {
        if size > self.max_bytes || u32::try_from(size).is_err() {
            Fit::Never
        } else if self.len < self.max_len && self.bytes.saturating_add(size) <= self.max_bytes {
            Fit::Now
        } else {
            Fit::Later
        }
    }

    /// Holds a message, and names it. Whether there is room for it the caller has asked.
    pub(crate) fn push(&mut self, message: T, terms: Terms) -> u64 {
        let number = self.tail;
        self.push_at(number, message, terms);
        number
    }

    /// Holds a message under a number of the caller's, which is not below any that was given before.
    pub(crate) fn push_at(&mut self, number: u64, message: T, terms: Terms) {
        debug_assert!(number >= self.tail);
        if self.len == 0 {
            self.ids = Ids::Growing(terms.id);
        }
        self.index(number, terms.id);
        let expires = terms.expires.unwrap_or(u64::MAX);
        self.earliest = self.earliest.min(expires);
        let slot = Slot {
            message: Some(message),
            id: terms.id,
            since: terms.since,
            expires,
            size: terms.size,
            best_effort: terms.expires.is_some(),
            receipt: terms.receipt,
        };
        match self.blocks.back_mut() {
            Some(block) if block.slots.len() < BLOCK && block.end() == number => {
                block.slots.push(slot);
                block.live += 1;
            }
            Some(block) if block.live == 0 => {
                block.renew(number);
                block.slots.push(slot);
                block.live = 1;
            }
            _ => {
                let mut slots = Vec::with_capacity(BLOCK);
                slots.push(slot);
                self.blocks.push_back(Block {
                    first: number,
                    head: 0,
                    live: 1,
                    slots,
                });
            }
        }
        self.tail = number + 1;
        self.len += 1;
        self.bytes += terms.size as usize;
    }

    fn index(&mut self, number: u64, id: u64) {
        match &mut self.ids {
            Ids::Growing(last) if *last <= id => *last = id,
            Ids::Growing(_) => {
                let held = self.blocks.iter().flat_map(Block::held);
                let mut index: BTreeSet<_> = held.map(|(number, slot)| (slot.id, number)).collect();
                index.insert((id, number));
                self.ids = Ids::Index(index);
            }
            Ids::Index(index) => {
                index.insert((id, number));
            }
        }
    }

    /// Takes what is to be written next, below the number `limit`: messages until they are `bytes` large
    /// together, but at least one. Says how many of them had been written before.
    ///
    /// What has expired at `now` is settled in passing.
    pub(crate) fn take(
        &mut self,
        bytes: usize,
        limit: u64,
        now: u64,
        batch: &mut Vec<(u64, T)>,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) -> u64
    where
        T: Clone,
    {
        let mut again = 0;
        let mut room = bytes;
        let mut expired = false;
        let limit = limit.min(self.tail);
        let start = self.block_from(self.cursor);
        'blocks: for block in self.blocks.range_mut(start..) {
            let skip = self.cursor.saturating_sub(block.first) as usize;
            for (index, slot) in block.slots.iter().enumerate().skip(skip.max(block.head)) {
                let number = block.first + index as u64;
                if number >= limit || room == 0 {
                    break 'blocks;
                }
                self.cursor = number + 1;
                let Some(message) = &slot.message else {
                    continue;
                };
                if slot.best_effort && slot.expires <= now {
                    expired = true;
                    self.cursor = number;
                    break 'blocks;
                }
                again += u64::from(number < self.fresh);
                self.written += 1;
                room = room.saturating_sub((slot.size as usize).max(1));
                batch.push((number, message.clone()));
            }
        }
        self.fresh = self.fresh.max(self.cursor);
        if expired {
            self.expire(now, settle);
            if batch.is_empty() {
                return again + self.take(bytes, limit, now, batch, settle);
            }
        }
        again
    }

    /// Settles what was to be written by `now` and is not.
    pub(crate) fn expire(&mut self, now: u64, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        if self.earliest > now {
            return;
        }
        let mut earliest = u64::MAX;
        let mut expired = Vec::new();
        let start = self.block_from(self.cursor);
        for block in self.blocks.range(start..) {
            for (number, slot) in block.held() {
                if number < self.cursor || !slot.best_effort {
                    continue;
                }
                if slot.expires <= now {
                    expired.push(number);
                } else {
                    earliest = earliest.min(slot.expires);
                }
            }
        }
        self.earliest = earliest;
        for number in expired {
            self.settle(number, Fate::Expired, settle);
        }
    }

    /// The time at which [`expire`](Self::expire) may have something to do; never late.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        (self.earliest != u64::MAX).then_some(self.earliest)
    }

    /// Confirms all written ones below `number`.
    pub(crate) fn confirm_below(
        &mut self,
        number: u64,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        let limit = number.min(self.fresh);
        while let Some(block) = self.blocks.front() {
            if block.live == 0 || block.first + block.head as u64 >= limit {
                break;
            }
            self.settle_at(0, block.head, Fate::Confirmed, settle);
        }
    }

    /// Confirms the `count` oldest of those that are written on this connection.
    pub(crate) fn confirm_oldest(
        &mut self,
        count: u64,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        for _ in 0..count.min(self.written as u64) {
            if let Some(first) = self.first() {
                self.settle(first, Fate::Confirmed, settle);
            }
        }
    }

    /// Confirms the oldest written one with this id.
    pub(crate) fn confirm_id(&mut self, id: u64, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        if let Some(number) = self.find(id) {
            self.settle(number, Fate::Confirmed, settle);
        }
    }

    /// Confirms all written ones whose id is at most this one.
    pub(crate) fn confirm_up_to(
        &mut self,
        id: u64,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        match &self.ids {
            Ids::Growing(_) => {
                while let Some(block) = self.blocks.front() {
                    let number = block.first + block.head as u64;
                    match block.slots.get(block.head) {
                        Some(slot) if slot.id <= id && number < self.fresh => {
                            self.settle(number, Fate::Confirmed, settle);
                        }
                        _ => break,
                    }
                }
            }
            Ids::Index(index) => {
                let named = index.range(..=(id, u64::MAX)).map(|&(_, number)| number);
                let mut named: Vec<u64> = named.filter(|&number| number < self.fresh).collect();
                named.sort_unstable();
                for number in named {
                    self.settle(number, Fate::Confirmed, settle);
                }
            }
        }
    }

    /// Settles a message that the encoder refused.
    pub(crate) fn refuse(&mut self, number: u64, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        self.settle(number, Fate::Refused, settle);
    }

    /// The connection is lost: what is held is to be written again, best-effort messages that were written
    /// are settled.
    pub(crate) fn rewind(&mut self, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        let cursor = self.cursor;
        let lost: Vec<u64> = self
            .blocks
            .iter()
            .take_while(|block| block.first < cursor)
            .flat_map(Block::held)
            .filter(|(number, slot)| *number < cursor && slot.best_effort)
            .map(|(number, _)| number)
            .collect();
        for number in lost {
            self.settle(number, Fate::Unconfirmed, settle);
        }
        self.written = 0;
        self.cursor = self.first().unwrap_or(self.tail).min(cursor);
    }

    /// Lets go of all that is held, in order: the number, the message, and whether it has a receipt.
    pub(crate) fn clear(&mut self, mut left: impl FnMut(u64, T, bool)) {
        for block in std::mem::take(&mut self.blocks) {
            for (index, slot) in block.slots.into_iter().enumerate() {
                if let Some(message) = slot.message {
                    left(block.first + index as u64, message, slot.receipt);
                }
            }
        }
        *self = Self {
            tail: self.tail,
            cursor: self.tail,
            fresh: self.tail,
            ..Self::new(self.max_bytes, self.max_len)
        };
    }

    /// The message, if it is held.
    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        let (block, index) = self.locate(number)?;
        self.blocks[block].slots[index].message.as_ref()
    }

    /// Nobody wants to hear any more what becomes of it.
    pub(crate) fn forget_receipt(&mut self, number: u64) {
        if let Some((block, index)) = self.locate(number) {
            self.blocks[block].slots[index].receipt = false;
        }
    }

    /// The number of the oldest that is held.
    pub(crate) fn first(&self) -> Option<u64> {
        let block = self.blocks.front()?;
        (block.live > 0).then(|| block.first + block.head as u64)
    }

    fn settle(&mut self, number: u64, fate: Fate, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        if let Some((place, index)) = self.locate(number) {
            self.settle_at(place, index, fate, settle);
        }
    }

    #[inline]
    fn settle_at(
        &mut self,
        place: usize,
        index: usize,
        fate: Fate,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        let last = self.blocks.len() - 1;
        let block = &mut self.blocks[place];
        let slot = &mut block.slots[index];
        let Some(message) = slot.message.take() else {
            return;
        };
        let number = block.first + index as u64;
        let settled = Settled {
            number,
            message,
            fate,
            receipt: slot.receipt,
        };
        self.len -= 1;
        self.bytes -= slot.size as usize;
        self.written -= usize::from(number < self.cursor);
        if let Ids::Index(index) = &mut self.ids {
            index.remove(&(slot.id, number));
        }
        block.live -= 1;
        block.advance();
        // Invariant 6.
        if block.live == 0 {
            if place == last {
                block.renew(self.tail);
            } else {
                self.blocks.remove(place);
            }
        }
        settle(settled);
    }

    /// The oldest written one with this id.
    fn find(&self, id: u64) -> Option<u64> {
        match &self.ids {
            Ids::Growing(_) => {
                let start = self.blocks.partition_point(|block| block.last_id() < id);
                for block in self.blocks.range(start..) {
                    let skip = block.slots.partition_point(|slot| slot.id < id);
                    for (index, slot) in block.slots.iter().enumerate().skip(skip) {
                        let number = block.first + index as u64;
                        if slot.id != id || number >= self.fresh {
                            return None;
                        }
                        if slot.message.is_some() {
                            return Some(number);
                        }
                    }
                }
                None
            }
            Ids::Index(index) => index
                .range((id, 0)..=(id, u64::MAX))
                .map(|&(_, number)| number)
                .next()
                .filter(|&number| number < self.fresh),
        }
    }

    /// The place of the first block that has a number from `number` on.
    fn block_from(&self, number: u64) -> usize {
        match self.blocks.back() {
            // The usual case: what is written next is among the newest.
            Some(block) if block.first <= number => self.blocks.len() - 1,
            _ => self.blocks.partition_point(|block| block.end() <= number),
        }
    }

    fn locate(&self, number: u64) -> Option<(usize, usize)> {
        let place = match self.blocks.front() {
            // The usual case: what is settled is among the oldest.
            Some(block) if number < block.end() => 0,
            _ => self.block_from(number),
        };
        let block = self.blocks.get(place)?;
        let index = number.checked_sub(block.first)? as usize;
        (index < block.slots.len()).then_some((place, index))
    }
}

impl<T> Block<T> {
    /// Above the number of the last slot.
    fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    fn held(&self) -> impl Iterator<Item = (u64, &Slot<T>)> {
        let numbered = self.slots.iter().enumerate().skip(self.head);
        numbered
            .filter(|(_, slot)| slot.message.is_some())
            .map(|(index, slot)| (self.first + index as u64, slot))
    }

    fn last_id(&self) -> u64 {
        self.slots.last().map_or(u64::MAX, |slot| slot.id)
    }

    /// The head goes on to the first slot that holds a message.
    fn advance(&mut self) {
        while let Some(Slot { message: None, .. }) = self.slots.get(self.head) {
            self.head += 1;
        }
    }

    /// Empty again, for numbers from `first` on.
    fn renew(&mut self, first: u64) {
        self.first = first;
        self.head = 0;
        self.slots.clear();
    }
}
