//! The order of messages with priorities. Pure.
//!
//! The messages of one key keep the order of their numbers. Across keys, the message with the higher urgency is written first.
//! The urgency of a message is its priority, or that of a later message of its key if that one's is higher: what must go
//! before an urgent message is as urgent.
//!
//! # Invariants
//!
//! 1. Of two held messages of one key, the later one is not more urgent. So the order by urgency and then by number never
//!    lets a message overtake another one of its key.
//! 2. A held message is in `waiting` or in `wire`, and not in both.
//! 3. `passed` has at most `MOST` entries, each with a position above the lowest one in `wire`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// How many settled messages are remembered by their id, see `Order::passed`.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Order {
    held: BTreeMap<u64, Place>,
    /// The key and the number of each held message.
    keys: BTreeSet<(u64, u64)>,
    /// The messages to be written: the urgency and the number. The next one is first.
    waiting: BTreeSet<(Reverse<u8>, u64)>,
    /// The messages that are written on this connection: the position and the number.
    wire: BTreeMap<u64, u64>,
    /// The position of the next message that is written. It never falls.
    next: u64,
    /// The positions and the ids of messages that were written on this connection and settled before one that was
    /// written earlier. A reply may still name one of them.
    passed: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Place {
    key: u64,
    urgency: u8,
    /// On this connection.
    position: Option<u64>,
}

impl Order {
    /// A message is held from now on.
    pub(crate) fn insert(&mut self, number: u64, key: u64, priority: u8) {
        let later = self.keys.range((key, number)..=(key, u64::MAX)).next();
        let later = later.and_then(|(_, later)| self.held.get(later));
        let urgency = later.map_or(priority, |later| later.urgency.max(priority));
        let earlier = self.keys.range((key, 0)..(key, number)).rev();
        for (_, earlier) in earlier {
            let Some(place) = self.held.get_mut(earlier) else {
                continue;
            };
            // Invariant 1: those before it are as urgent already.
            if place.urgency >= urgency {
                break;
            }
            if self.waiting.remove(&(Reverse(place.urgency), *earlier)) {
                self.waiting.insert((Reverse(urgency), *earlier));
            }
            place.urgency = urgency;
        }
        self.keys.insert((key, number));
        self.waiting.insert((Reverse(urgency), number));
        let place = Place {
            key,
            urgency,
            position: None,
        };
        self.held.insert(number, place);
    }

    /// The message below `below` that is to be written next. If `alone` is given, it is the only one, apart from what must go
    /// before it.
    pub(crate) fn next(&self, below: u64, alone: Option<u64>) -> Option<u64> {
        if let Some(alone) = alone {
            let key = self.held.get(&alone)?.key;
            let of_key = self.keys.range((key, 0)..=(key, alone));
            let mut numbers = of_key.map(|&(_, number)| number);
            let next = numbers.find(|&number| self.position(number).is_none());
            return next.filter(|&number| number < below);
        }
        let mut from = (Reverse(u8::MAX), 0);
        loop {
            let &(Reverse(urgency), number) = self.waiting.range(from..).next()?;
            if number < below {
                return Some(number);
            }
            // All of this urgency have higher numbers.
            from = (Reverse(urgency.checked_sub(1)?), 0);
        }
    }

    /// A message is written. Returns its position.
    pub(crate) fn write(&mut self, number: u64) -> u64 {
        let position = self.next;
        if let Some(place) = self.held.get_mut(&number) {
            self.next += 1;
            self.waiting.remove(&(Reverse(place.urgency), number));
            self.wire.insert(position, number);
            place.position = Some(position);
        }
        position
    }

    /// A message with this id is settled. Returns whether it is written on this connection.
    pub(crate) fn remove(&mut self, number: u64, id: u64) -> bool {
        let Some(place) = self.held.remove(&number) else {
            return false;
        };
        self.keys.remove(&(place.key, number));
        let Some(position) = place.position else {
            self.waiting.remove(&(Reverse(place.urgency), number));
            return false;
        };
        self.wire.remove(&position);
        match self.wire.first_key_value() {
            None => self.passed.clear(),
            Some((&first, _)) if first < position => {
                if self.passed.len() == MOST {
                    self.passed.pop_first();
                }
                self.passed.insert(position, id);
            }
            Some((&first, _)) => self.passed = self.passed.split_off(&first),
        }
        true
    }

    /// The connection is lost: what was written is to be written again.
    pub(crate) fn rewind(&mut self) {
        for number in std::mem::take(&mut self.wire).into_values() {
            if let Some(place) = self.held.get_mut(&number) {
                place.position = None;
                self.waiting.insert((Reverse(place.urgency), number));
            }
        }
        self.passed.clear();
    }

    /// The position of a message that is written on this connection.
    pub(crate) fn position(&self, number: u64) -> Option<u64> {
        self.held.get(&number)?.position
    }

    /// The position of a settled message, if messages that were written before it are not settled.
    pub(crate) fn passed(&self, id: u64) -> Option<u64> {
        let mut passed = self.passed.iter().rev();
        passed.find(|&(_, &other)| other == id).map(|(&at, _)| at)
    }

    /// The messages that are written on this connection, with their positions, in the order of their writing.
    pub(crate) fn written(&self) -> impl Iterator<Item = (u64, u64)> {
        self.wire
            .iter()
            .map(|(&position, &number)| (position, number))
    }

    /// The messages to be written: the least urgent first, and of these the oldest.
    pub(crate) fn least_urgent(&self) -> impl Iterator<Item = u64> {
        let mut level = self.waiting.last().map(|&(level, _)| level);
        let mut from = 0;
        std::iter::from_fn(move || {
            loop {
                let this = level?;
                let mut rest = self.waiting.range((this, from)..=(this, u64::MAX));
                if let Some(&(_, number)) = rest.next() {
                    from = number + 1;
                    return Some(number);
                }
                let before = self.waiting.range(..(this, 0)).next_back();
                level = before.map(|&(level, _)| level);
                from = 0;
            }
        })
    }

    pub(crate) fn urgency(&self, number: u64) -> u8 {
        self.held.get(&number).map_or(0, |place| place.urgency)
    }

    /// Nothing is held any more.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            next: self.next,
            ..Self::default()
        };
    }
}
