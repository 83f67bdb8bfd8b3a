//! The messages of a durable outbox that are in the store and not in memory.
//!
//! Important messages have one order. As soon as one of them is only in the store, all later ones go only to
//! the store too, until the store has no more of them than memory has. So every message that is only in the store has a
//! higher number than the important ones in memory, and pages of the store are taken in from `from` on.

use crate::outbox::queue::buffer::Buffer;
use std::collections::HashMap;

/// A page of the store has at most this many bytes, or one message.
const PAGE: usize = 1024 * 1024;

/// Messages on their way to the store may be this many, even if memory has room for fewer: that bounds how many
/// senders share a commit.
const STORING: usize = 1024;

/// A failed reading is tried again after this time, in nanoseconds.
const RETRY: u64 = 1_000_000_000;

/// A page that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// The lowest number.
    pub(crate) from: u64,
    pub(crate) bytes: usize,
}

/// How much of something there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Amount {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes as u64;
    }

    fn subtract(&mut self, bytes: usize) {
        self.count = self.count.saturating_sub(1);
        self.bytes = match self.count {
            0 => 0,
            _ => self.bytes.saturating_sub(bytes as u64),
        };
    }
}

#[derive(Debug)]
pub(crate) struct Backlog<T> {
    /// Messages that are only in the store, or on their way there; the bytes are those of their records.
    held: Amount,
    /// Those of them that are on their way.
    storing: Amount,
    /// No message of the backlog has a lower number.
    from: u64,
    /// A page is being read.
    loading: bool,
    /// The size of the next message, if it did not fit.
    needs: usize,
    /// After a failure nothing is read until then.
    pub(crate) retry: Option<u64>,
    /// The messages whose receipts are held, for receipts that report that they were not delivered.
    pub(crate) receipts: HashMap<u64, T>,
    /// When messages expire that have a limit.
    pub(crate) expires: HashMap<u64, u64>,
}

impl<T> Backlog<T> {
    pub(crate) fn new() -> Self {
        Self {
            held: Amount::default(),
            storing: Amount::default(),
            from: 0,
            loading: false,
            needs: 0,
            retry: None,
            receipts: HashMap::new(),
            expires: HashMap::new(),
        }
    }

    /// An outbox starts on a store with so much in it.
    pub(crate) fn start(&mut self, held: Amount) {
        self.held = held;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.count == 0
    }

    pub(crate) fn held(&self) -> Amount {
        self.held
    }

    /// No message of the backlog has a lower number.
    pub(crate) fn from(&self) -> u64 {
        self.from
    }

    /// No message of the backlog has this number or a lower one.
    pub(crate) fn skip(&mut self, number: u64) {
        self.from = self.from.max(number.saturating_add(1));
    }

    /// Messages from this number on are not written yet.
    pub(crate) fn barrier(&self) -> u64 {
        if self.is_empty() { u64::MAX } else { self.from }
    }

    /// How many bytes and messages more may be on their way to the store.
    pub(crate) fn room(&self, (bytes, count): (usize, usize)) -> (usize, usize) {
        let stored = (self.storing.bytes as usize, self.storing.count as usize);
        let free = count.max(STORING).saturating_sub(stored.1);
        match stored.1 {
            // One message always may, however large its record is.
            0 => (usize::MAX, free),
            _ => (bytes.saturating_sub(stored.0), free),
        }
    }

    /// A message is on its way to the store.
    pub(crate) fn push(&mut self, number: u64, bytes: usize) {
        if self.is_empty() {
            self.from = number;
            self.needs = 0;
        }
        self.held.add(bytes);
        self.storing.add(bytes);
    }

    /// The message is stored.
    pub(crate) fn stored(&mut self, bytes: usize) {
        self.storing.subtract(bytes);
    }

    /// The message is not stored.
    pub(crate) fn not_stored(&mut self, number: u64, bytes: usize) -> Option<T> {
        self.storing.subtract(bytes);
        self.remove(number, bytes).0
    }

    /// A message leaves the backlog. Returns the message if its receipt is held, and when it expires.
    pub(crate) fn remove(&mut self, number: u64, bytes: usize) -> (Option<T>, Option<u64>) {
        self.held.subtract(bytes);
        (self.receipts.remove(&number), self.expires.remove(&number))
    }

    /// The page that is to be read now, if memory has room for it. It counts as being read from now on.
    pub(crate) fn next_page(&mut self, buffer: &Buffer<T>, now: u64) -> Option<Page> {
        if self.loading || self.held.count <= self.storing.count {
            return None;
        }
        if self.retry.is_some_and(|retry| now < retry) {
            return None;
        }
        let (bytes, count) = buffer.room();
        let fits = count > 0 && bytes >= self.needs.max(1);
        if !fits && !buffer.is_empty() {
            return None;
        }
        let half = buffer.half_room();
        // Few large pages rather than many small ones, but for a peer that waits for more before it replies.
        if (half.0 == 0 || half.1 == 0) && buffer.has_below(self.from) {
            return None;
        }
        self.loading = true;
        self.retry = None;
        Some(Page {
            from: self.from,
            bytes: bytes.clamp(1, PAGE),
        })
    }

    /// All of the page below `from` was taken in. `needs` is the size of the next message, if it did not fit.
    pub(crate) fn loaded(&mut self, from: u64, needs: usize) {
        self.loading = false;
        self.from = self.from.max(from);
        self.needs = needs;
    }

    /// The store has nothing from `from` on but what is on its way.
    pub(crate) fn exhausted(&mut self) {
        self.loading = false;
        self.held = self.storing;
    }

    /// The page could not be read.
    pub(crate) fn not_loaded(&mut self, now: u64) {
        self.loading = false;
        self.retry = Some(now.saturating_add(RETRY));
    }
}
