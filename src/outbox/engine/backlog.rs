//! The backlog of a durable outbox: messages that are in the store and not in memory.
//!
//! Important messages have one order. As soon as one of them is only in the store, all later ones go only to the store
//! too, until the backlog is empty. So every message of the backlog has a higher number than the important
//! messages in memory, and it is enough to remember one number, `from`: the backlog is read page by page from there.

use super::accept_times::AcceptTimes;
use crate::outbox::queue::buffer::Buffer;
use std::collections::{BTreeSet, HashMap};

/// A page of the store has at most this many bytes, or one message.
const PAGE: usize = 1024 * 1024;

/// This many messages may be on their way to the store, even if the capacity of memory is smaller. They share one
/// commit.
const STORING: usize = 1024;

/// The delay after a failed read of a page, in nanoseconds.
const RETRY: u64 = 1_000_000_000;

/// A request for a page of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// The lowest number of the page.
    pub(crate) from: u64,
    pub(crate) bytes: usize,
}

/// A number of messages, and their size in bytes.
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

/// What the outbox knows about the messages that are not in memory.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    /// Messages that are only in the store, or on their way to it. The bytes are those of their records.
    held: Amount,
    /// The part of `held` that is on its way to the store.
    storing: Amount,
    /// No message of the backlog has a lower number.
    from: u64,
    /// A page was requested and has not arrived.
    loading: bool,
    /// The size of the next message, if it did not fit into memory.
    needs: usize,
    /// After a failed read: no page is requested before this time.
    pub(crate) retry: Option<u64>,
    /// Copies of the messages whose receipts are held: a receipt that fails has to return its message.
    pub(crate) receipts: HashMap<u64, T>,
    times: AcceptTimes,
    /// When the messages expire that have a limit, and the sizes of their records. A store keeps no limits.
    expires: HashMap<u64, (u64, usize)>,
    /// Their times and their numbers.
    due: BTreeSet<(u64, u64)>,
    /// Messages from `from` on that have expired, and may be in a page that is being read.
    expired: BTreeSet<u64>,
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
            times: AcceptTimes::new(),
            expires: HashMap::new(),
            due: BTreeSet::new(),
            expired: BTreeSet::new(),
        }
    }

    /// The outbox starts on a store that holds this amount. When it was accepted is not known: it counts from now, which
    /// is the zero of the clock.
    pub(crate) fn start(&mut self, held: Amount) {
        self.held = held;
        self.times.push(0, 0);
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

    /// The messages up to `number` are not in the backlog.
    pub(crate) fn skip(&mut self, number: u64) {
        self.advance(number.saturating_add(1));
    }

    /// The messages below `from` are not in the backlog.
    fn advance(&mut self, from: u64) {
        self.from = self.from.max(from);
        self.times.skip(self.from);
        if self.expired.first().is_some_and(|&first| first < self.from) {
            self.expired = self.expired.split_off(&self.from);
        }
    }

    /// When a message was accepted, or a little earlier.
    pub(crate) fn accepted(&self, number: u64) -> Option<u64> {
        self.times.at(number)
    }

    /// When the oldest message was accepted, or a little earlier.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let oldest = || self.accepted(self.from);
        (!self.is_empty()).then(oldest)?
    }

    /// Messages in memory from this number on may not be written yet: those of the backlog come first.
    pub(crate) fn barrier(&self) -> u64 {
        if self.is_empty() { u64::MAX } else { self.from }
    }

    /// How many more bytes and messages may be on their way to the store.
    pub(crate) fn room(&self, (bytes, count): (usize, usize)) -> (usize, usize) {
        let stored = (self.storing.bytes as usize, self.storing.count as usize);
        let free = count.max(STORING).saturating_sub(stored.1);
        match stored.1 {
            // One message is always accepted, however large its record is.
            0 => (usize::MAX, free),
            _ => (bytes.saturating_sub(stored.0), free),
        }
    }

    /// Adds a message that was accepted at `time` and is on its way to the store.
    pub(crate) fn push(&mut self, number: u64, bytes: usize, time: u64) {
        if self.is_empty() {
            self.from = number;
            self.needs = 0;
            self.times = AcceptTimes::new();
        }
        self.times.push(number, time);
        self.held.add(bytes);
        self.storing.add(bytes);
    }

    /// Keeps what a store does not: the copy of a message for its receipt, and when the message expires.
    pub(crate) fn hold(
        &mut self,
        number: u64,
        bytes: usize,
        copy: Option<T>,
        expires: Option<u64>,
    ) {
        self.receipts.extend(copy.map(|copy| (number, copy)));
        if let Some(expires) = expires {
            self.expires.insert(number, (expires, bytes));
            self.due.insert((expires, number));
        }
    }

    /// When a message expires next.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.due.first().map(|&(at, _)| at)
    }

    /// Removes a message that has expired. Returns its number, and the copy that its receipt held. The store has answered for the
    /// messages below `stored`.
    pub(crate) fn pop_expired(&mut self, now: u64, stored: u64) -> Option<(u64, Option<T>)> {
        let &(_, number) = self.due.first().filter(|&&(at, _)| at <= now)?;
        let (_, bytes) = self.expires.get(&number).copied().unwrap_or_default();
        if number >= stored {
            self.storing.subtract(bytes);
        }
        let (copy, _) = self.remove(number, bytes);
        self.expired.insert(number);
        if number == self.from {
            self.skip(number);
        }
        Some((number, copy))
    }

    /// Whether a message has been dropped that is in a page, or on its way to the store.
    pub(crate) fn is_dropped(&self, number: u64) -> bool {
        number < self.from || self.expired.contains(&number)
    }

    /// The store has written a message with a record of this size.
    pub(crate) fn stored(&mut self, number: u64, bytes: usize) {
        if !self.is_dropped(number) {
            self.storing.subtract(bytes);
        }
    }

    /// The store has not written the message, which is not dropped. Returns the copy that its receipt held.
    pub(crate) fn not_stored(&mut self, number: u64, bytes: usize) -> Option<T> {
        self.storing.subtract(bytes);
        self.remove(number, bytes).0
    }

    /// Removes a message. Returns the copy that its receipt held, and when it expires.
    pub(crate) fn remove(&mut self, number: u64, bytes: usize) -> (Option<T>, Option<u64>) {
        self.held.subtract(bytes);
        let expires = self.expires.remove(&number);
        let expires = expires.map(|(expires, _)| expires);
        if let Some(expires) = expires {
            self.due.remove(&(expires, number));
        }
        (self.receipts.remove(&number), expires)
    }

    /// The page to request now, if memory has room for it. The page counts as requested afterwards.
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
        // Few large pages are better than many small ones, so wait until half of memory is free. But if every
        // message in memory is written, the peer may need more messages before it replies: then read now.
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

    /// The page was taken in below `from`. `needs` is the size of the next message, if it did not fit.
    pub(crate) fn loaded(&mut self, from: u64, needs: usize) {
        self.loading = false;
        self.advance(from);
        self.needs = needs;
    }

    /// The store has nothing from `from` on, apart from messages on their way to it.
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
