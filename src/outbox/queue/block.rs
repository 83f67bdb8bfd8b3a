//! The storage of the buffer: blocks of slots, one slot for each message.
//!
//! A slot takes 32 bytes and the message. Messages usually leave in the order in which they came, so a block is freed
//! as a whole, and a number is found by its distance from the first number of its block.

/// Slots in a block. With 64, the block's own 48 bytes and its allocation hardly count, and one message that stays
/// behind keeps little memory alive.
pub(crate) const BLOCK: usize = 64;

/// What the queue knows about a message. Times are in the unit of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) size: u32,
    pub(crate) id: u64,
    /// When it was accepted.
    pub(crate) since: u64,
    /// When it expires.
    pub(crate) expires: Option<u64>,
    /// Whether it is written at most once.
    pub(crate) best_effort: bool,
    /// Whether somebody holds a receipt for it.
    pub(crate) receipt: bool,
    /// Messages of one key keep their order. Used only with priorities.
    pub(crate) key: u64,
    /// The message is written before those of other keys with a lower one. Used only with priorities.
    pub(crate) priority: u8,
}

/// Slots with growing numbers. A gap in the numbers takes no slot.
#[derive(Debug)]
pub(crate) struct Block<T> {
    first: u64,
    /// Slots below this index are empty.
    pub(crate) head: usize,
    /// Slots that hold a message.
    pub(crate) live: usize,
    pub(crate) slots: Vec<Slot<T>>,
}

/// One message, or what is left of it after it was settled: its id and number keep the search working.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    /// `None` once the message is settled.
    pub(crate) message: Option<T>,
    pub(crate) id: u64,
    pub(crate) since: u64,
    /// `u64::MAX` means never.
    pub(crate) expires: u64,
    pub(crate) size: u32,
    /// The number of the message, minus the first number of the block.
    offset: u16,
    /// How often the message was written. Stays at 255.
    pub(crate) attempts: u8,
    flags: u8,
}

const BEST_EFFORT: u8 = 1;
const RECEIPT: u8 = 2;

impl<T> Slot<T> {
    fn new(message: T, terms: &Terms, offset: u16) -> Self {
        let mut flags = 0;
        if terms.best_effort {
            flags |= BEST_EFFORT;
        }
        if terms.receipt {
            flags |= RECEIPT;
        }
        Self {
            message: Some(message),
            id: terms.id,
            since: terms.since,
            expires: terms.expires.unwrap_or(u64::MAX),
            size: terms.size,
            offset,
            attempts: 0,
            flags,
        }
    }

    /// The number of the message. `first` is that of the block.
    pub(crate) fn number(&self, first: u64) -> u64 {
        first + u64::from(self.offset)
    }

    pub(crate) fn is_best_effort(&self) -> bool {
        self.flags & BEST_EFFORT != 0
    }

    pub(crate) fn has_receipt(&self) -> bool {
        self.flags & RECEIPT != 0
    }

    pub(crate) fn forget_receipt(&mut self) {
        self.flags &= !RECEIPT;
    }
}

impl<T> Block<T> {
    /// An empty block for numbers from `first` on. After a gap that did not fit into one block, more such gaps are
    /// likely, so the block starts with little capacity.
    pub(crate) fn new(first: u64, after_gap: bool) -> Self {
        Self {
            first,
            head: 0,
            live: 0,
            slots: Vec::with_capacity(if after_gap { 1 } else { BLOCK }),
        }
    }

    /// Whether this number, which is at least `end`, has a place in this block.
    pub(crate) fn takes(&self, number: u64) -> bool {
        !self.is_full() && number - self.first <= u64::from(u16::MAX)
    }

    /// Adds a message under a number that the block [`takes`](Self::takes). It is inlined so that the slot is built in its
    /// place.
    #[inline(always)]
    pub(crate) fn push(&mut self, number: u64, message: T, terms: &Terms) {
        debug_assert!(self.takes(number));
        if self.slots.len() == self.slots.capacity() {
            self.grow();
        }
        let offset = (number - self.first) as u16;
        self.slots.push(Slot::new(message, terms, offset));
        self.live += 1;
    }

    /// Makes room for more slots. `Vec` itself may double beyond what a block ever holds.
    #[cold]
    fn grow(&mut self) {
        let len = self.slots.len();
        self.slots.reserve_exact(len.clamp(1, BLOCK - len));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.slots.len() == BLOCK
    }

    /// One above the number of the last slot.
    pub(crate) fn end(&self) -> u64 {
        let last = self.slots.last();
        self.first + last.map_or(0, |slot| u64::from(slot.offset) + 1)
    }

    /// The number of the slot at this index; the first number of the block if there is no such slot.
    pub(crate) fn number(&self, index: usize) -> u64 {
        self.first
            + self
                .slots
                .get(index)
                .map_or(0, |slot| u64::from(slot.offset))
    }

    /// The index of the first slot whose number is at least this one.
    pub(crate) fn index_from(&self, number: u64) -> usize {
        let offset = number.saturating_sub(self.first);
        match self.slots.get(offset as usize) {
            // Without gaps, which is usual, the offset is the index.
            Some(slot) if u64::from(slot.offset) == offset => offset as usize,
            _ => self
                .slots
                .partition_point(|slot| u64::from(slot.offset) < offset),
        }
    }

    /// The index of the slot with this number.
    #[inline]
    pub(crate) fn index_of(&self, number: u64) -> Option<usize> {
        let offset = number.checked_sub(self.first)?;
        match self.slots.get(offset as usize) {
            // As in `index_from`.
            Some(slot) if u64::from(slot.offset) == offset => Some(offset as usize),
            _ => self.search(offset),
        }
    }

    fn search(&self, offset: u64) -> Option<usize> {
        self.slots
            .binary_search_by_key(&offset, |slot| u64::from(slot.offset))
            .ok()
    }

    /// The receipt of the message was dropped.
    #[inline]
    pub(crate) fn forget_receipt(&mut self, number: u64) {
        if let Some(index) = self.index_of(number) {
            self.slots[index].forget_receipt();
        }
    }

    /// The number of the first slot, or that of the next one to be pushed.
    #[inline]
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The slots that hold a message, with their numbers.
    pub(crate) fn held(&self) -> impl Iterator<Item = (u64, &Slot<T>)> {
        self.slots[self.head..]
            .iter()
            .filter(|slot| slot.message.is_some())
            .map(|slot| (self.first + u64::from(slot.offset), slot))
    }

    /// The total size of the messages.
    pub(crate) fn bytes(&self) -> usize {
        let held = self.slots.iter().filter(|slot| slot.message.is_some());
        held.map(|slot| slot.size as usize).sum()
    }

    /// The id of the last slot; `u64::MAX` for an empty block.
    pub(crate) fn last_id(&self) -> u64 {
        self.slots.last().map_or(u64::MAX, |slot| slot.id)
    }

    /// Moves the head to the first slot that holds a message.
    pub(crate) fn advance(&mut self) {
        while let Some(Slot { message: None, .. }) = self.slots.get(self.head) {
            self.head += 1;
        }
    }

    /// Moves the slots from `number` on into a new block. There must be at least one.
    pub(crate) fn split_off(&mut self, number: u64) -> Self {
        let index = self.index_from(number);
        let first = self.number(index);
        let moved = (first - self.first) as u16;
        let mut slots = self.slots.split_off(index);
        for slot in &mut slots {
            slot.offset -= moved;
        }
        let mut rest = Self {
            first,
            head: 0,
            live: slots.iter().filter(|slot| slot.message.is_some()).count(),
            slots,
        };
        rest.advance();
        self.live -= rest.live;
        self.head = self.head.min(self.slots.len());
        self.slots.reserve_exact(BLOCK - self.slots.len());
        rest
    }

    /// Empties the block, and uses it for numbers from `first` on.
    pub(crate) fn renew(&mut self, first: u64) {
        self.first = first;
        self.head = 0;
        self.slots.clear();
    }
}
