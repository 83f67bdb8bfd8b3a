//! A plain model of the outbox's buffer: one list, searched from end to end.
//!
//! Operations go into the buffer and into the model, and after each of them the two are compared: what was
//! taken and settled, in which order, and all that the buffer tells of itself (invariants 1 to 5 of
//! `queue/buffer/`, invariant 1 of `order.rs`).

use super::queue::block::{BLOCK, Terms};
use super::queue::buffer::{Budget, Buffer, Fit, Outcome, Settled, Taken};
use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

/// One operation; small numbers, so that they meet.
#[derive(Debug, Clone, Copy)]
pub enum Operation {
    /// An important message, if `ttl` is none.
    Push {
        size: u8,
        id: Id,
        ttl: Option<u8>,
    },
    /// A message that is recovered from a store, with a gap in the numbers before it.
    PushAt {
        gap: u32,
        size: u8,
    },
    /// A number is left to a message that comes later.
    Skip,
    /// The message of the lowest such number comes.
    Insert {
        size: u8,
        id: Option<u8>,
    },
    /// The next batch is written.
    Take {
        bytes: u8,
        limit: Option<u8>,
        in_flight: Option<u8>,
        alone: Option<u8>,
    },
    /// So many of the written ones are acknowledged.
    Acknowledge(u8),
    /// A reply names one of the messages, written or not, or nothing at all.
    One(u8),
    UpTo(u8),
    Oldest(u8),
    /// A reply rejects one of the messages.
    Reject(u8),
    /// Room is made.
    Evict,
    /// Room is made among the important ones below a number.
    EvictImportant {
        pick: u8,
        written_too: bool,
    },
    /// The connection is lost.
    Cut,
    /// The encoder refuses one of the last batch.
    Refuse(u8),
    /// Time goes by, and what has expired is looked for.
    Wait(u8),
    /// Time goes by.
    Sleep(u8),
    ForgetReceipt(u8),
    Clear,
}

/// The id of the next message.
#[derive(Debug, Clone, Copy)]
pub enum Id {
    /// As they should be.
    Growing,
    /// Any, repeated ones too.
    Any(u8),
}

impl Operation {
    /// Any three bytes are one.
    pub fn new((kind, a, b): (u8, u8, u8)) -> Self {
        match kind % 32 {
            0 => Self::Skip,
            1..=2 => Self::Insert {
                size: a % 64,
                id: (b % 8 == 0).then_some(b / 8),
            },
            3..=7 => Self::Push {
                size: a % 64,
                id: Id::Growing,
                ttl: (b % 3 == 0).then_some(b / 3),
            },
            8 => Self::Push {
                size: a % 64,
                id: Id::Any(b),
                ttl: None,
            },
            9 => Self::PushAt {
                // The last ones need another block.
                gap: if a < 240 { u32::from(a % 4) } else { 70_000 },
                size: b % 64,
            },
            10..=15 => Self::Take {
                bytes: a,
                limit: (b % 4 == 0).then_some(b / 4),
                in_flight: (b % 4 == 1).then_some(b / 4),
                alone: (b % 8 == 2).then_some(b / 8),
            },
            16..=17 => Self::Acknowledge(a),
            18..=20 => Self::One(a),
            21 => Self::UpTo(a),
            22 => Self::Oldest(a % 8),
            23 => Self::Cut,
            24 => Self::Reject(a),
            25 if b % 2 == 0 => Self::Evict,
            25 => Self::EvictImportant {
                pick: a,
                written_too: b % 4 == 1,
            },
            26 => Self::Refuse(a),
            27 => Self::Wait(a),
            28 => Self::Sleep(a),
            29..=30 => Self::ForgetReceipt(a),
            _ if a < 16 => Self::Clear,
            _ => Self::Cut,
        }
    }

    /// Whether it is a reply that names messages.
    pub fn names(&self) -> bool {
        matches!(
            self,
            Self::Acknowledge(_) | Self::One(_) | Self::UpTo(_) | Self::Reject(_)
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    number: u64,
    message: u64,
    terms: Terms,
    /// At least that of each later one of its key.
    urgency: u8,
    /// Its place among those that are written on this connection.
    position: Option<u64>,
    /// On any.
    ever: bool,
}

impl Held {
    fn is_written(&self) -> bool {
        self.position.is_some()
    }
}

type Gone = (u64, u64, Outcome, bool);

/// The buffer and its model, side by side.
pub struct Pair {
    buffer: Buffer<u64>,
    held: Vec<Held>,
    max_bytes: usize,
    max_len: usize,
    with_priorities: bool,
    /// The position of what is written next, with priorities.
    next_position: u64,
    /// The positions and the ids of what was written on this connection and is settled.
    settled: Vec<(u64, u64)>,
    next: u64,
    last_id: u64,
    /// Numbers that were passed over and may be used.
    skipped: VecDeque<u64>,
    now: u64,
    last_batch: Vec<u64>,
    /// The positions of what was written on this connection and dropped without a reply, as long as no reply has named a message.
    gone: BTreeSet<u64>,
    named: bool,
    steps: usize,
}

impl Pair {
    pub fn new(max_bytes: usize, max_len: usize) -> Self {
        Self {
            buffer: Buffer::new(max_bytes, max_len),
            held: Vec::new(),
            max_bytes,
            max_len,
            with_priorities: false,
            next_position: 0,
            settled: Vec::new(),
            next: 0,
            last_id: 0,
            skipped: VecDeque::new(),
            now: 0,
            last_batch: Vec::new(),
            gone: BTreeSet::new(),
            named: false,
            steps: 0,
        }
    }

    /// Messages have keys and priorities.
    pub fn prioritize(&mut self) {
        self.with_priorities = true;
        self.buffer.prioritize();
    }

    pub fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Push { size, id, ttl } => self.push(size, id, ttl),
            Operation::PushAt { gap, size } => {
                let number = self.next + u64::from(gap);
                let terms = self.terms(size, Id::Growing, None);
                self.buffer.push_at(number, number, terms);
                self.hold(number, terms);
            }
            Operation::Skip => {
                self.skipped.push_back(self.next);
                assert_eq!(self.buffer.skip(), self.next);
                self.next += 1;
            }
            Operation::Insert { size, id } => {
                if let Some(number) = self.skipped.pop_front() {
                    let last_id = self.last_id;
                    let id = id.map_or(Id::Growing, Id::Any);
                    let mut terms = self.terms(size, id, None);
                    if matches!(id, Id::Growing) {
                        // That of the message before it, as of a message that was passed over when it was sent.
                        let before = self.held.iter().rev().find(|held| held.number < number);
                        terms.id = before.map_or(0, |held| held.terms.id);
                    }
                    self.last_id = last_id.max(terms.id);
                    self.buffer.insert_at(number, number, terms);
                    self.insert(number, terms);
                }
            }
            Operation::Take {
                bytes,
                limit,
                in_flight,
                alone,
            } => self.take(bytes, limit, in_flight, alone),
            Operation::Acknowledge(pick) => {
                let written = self.held.iter().filter_map(|held| held.position);
                let before = written.map(|position| position + 1).nth(pick.into());
                let before = before.unwrap_or(0);
                let by_block = self.steps.is_multiple_of(2);
                self.name();
                self.both(
                    Outcome::Confirmed,
                    |held| held.position.is_some_and(|position| position < before),
                    |buffer, settle| {
                        if by_block {
                            confirm_blocks(buffer, before, settle);
                        }
                        buffer.confirm_below(before, settle);
                    },
                );
            }
            Operation::One(pick) => {
                let id = self.pick_id(pick);
                self.name();
                let mut first = true;
                self.both(
                    Outcome::Confirmed,
                    |held| held.ever && held.terms.id == id && std::mem::take(&mut first),
                    |buffer, settle| buffer.confirm_id(id, settle),
                );
            }
            Operation::UpTo(pick) => {
                let id = self.pick_id(pick);
                self.name();
                if self.with_priorities {
                    return self.up_to_with_priorities(id);
                }
                self.both(
                    Outcome::Confirmed,
                    |held| held.ever && held.terms.id <= id,
                    |buffer, settle| buffer.confirm_up_to(id, settle),
                );
            }
            Operation::Reject(pick) => {
                let id = self.pick_id(pick);
                self.name();
                let mut first = true;
                self.both(
                    Outcome::Refused,
                    |held| held.ever && held.terms.id == id && std::mem::take(&mut first),
                    |buffer, settle| buffer.refuse_id(id, settle),
                );
            }
            Operation::Evict => {
                let waiting = self.held.iter().filter(|held| !held.is_written());
                let waiting = waiting.min_by_key(|held| (held.urgency, held.number));
                let written = self.held.iter().min_by_key(|held| held.position);
                let evicted = waiting.or(written).cloned();
                self.check_making_room();
                let Some(evicted) = evicted else {
                    return self.buffer.evict(&mut |_| panic!("nothing is held"));
                };
                self.drop_unanswered(&evicted);
                self.both(
                    Outcome::Overflowed,
                    |held| held.number == evicted.number,
                    |buffer, settle| buffer.evict(settle),
                );
            }
            Operation::EvictImportant { pick, written_too } => {
                let limit = self.pick(pick).map_or(u64::MAX, |held| held.number);
                self.evict_important(limit, written_too);
            }
            Operation::Oldest(count) => {
                // The line of what was written, as the peer sees it.
                let written = self.held.iter().filter_map(|held| held.position);
                let mut line: Vec<u64> = written.collect();
                line.extend(&self.gone);
                line.sort_unstable();
                line.truncate(count.into());
                self.gone.retain(|position| !line.contains(position));
                self.both(
                    Outcome::Confirmed,
                    |held| {
                        held.position
                            .is_some_and(|position| line.contains(&position))
                    },
                    |buffer, settle| buffer.confirm_oldest(count.into(), settle),
                );
            }
            Operation::Cut => {
                self.both(
                    Outcome::Unconfirmed,
                    |held| held.is_written() && held.terms.best_effort,
                    |buffer, settle| buffer.rewind(settle),
                );
                self.gone.clear();
                self.settled.clear();
                for held in &mut self.held {
                    held.position = None;
                }
            }
            Operation::Refuse(pick) => {
                let Some(&number) = self.last_batch.get(usize::from(pick)) else {
                    return;
                };
                self.both(
                    Outcome::Refused,
                    |held| held.number == number,
                    |buffer, settle| buffer.refuse(number, settle),
                );
            }
            Operation::Wait(time) => {
                self.now += u64::from(time);
                let mut settled = Vec::new();
                self.buffer.expire(self.now, &mut note(&mut settled));
                let due = self.held.iter().filter(|held| self.is_due(held)).count();
                assert_eq!(settled.len(), due);
                self.expired(settled);
            }
            Operation::Sleep(time) => self.now += u64::from(time),
            Operation::ForgetReceipt(pick) => {
                let number = self.pick(pick).map_or(u64::from(pick), |held| held.number);
                self.buffer.forget_receipt(number);
                if let Some(held) = self.held.iter_mut().find(|held| held.number == number) {
                    held.terms.receipt = false;
                }
            }
            Operation::Clear => {
                self.gone.clear();
                self.settled.clear();
                self.skipped.clear();
                let mut left = Vec::new();
                self.buffer
                    .clear(|number, message, receipt| left.push((number, message, receipt)));
                let held = self.held.drain(..);
                let expected: Vec<_> = held
                    .map(|held| (held.number, held.message, held.terms.receipt))
                    .collect();
                assert_eq!(left, expected);
            }
        }
        self.steps += 1;
        self.compare();
    }

    /// A reply means the message with this id, and what was written before it.
    fn up_to_with_priorities(&mut self, id: u64) {
        let named = self.held.iter();
        let named = named.filter(|held| held.ever && held.terms.id == id);
        let named = named.map(|held| (held.number, held.position)).next();
        // Of several the one that was written last.
        let settled = { self.settled.iter() }
            .filter(|&&(_, other)| other == id)
            .max();
        let position = match named {
            Some((_, position)) => position,
            None => settled.map(|&(position, _)| position),
        };
        self.both(
            Outcome::Confirmed,
            |held| match position {
                Some(limit) => held.position.is_some_and(|position| position <= limit),
                None => named.is_some_and(|(number, _)| held.number == number),
            },
            |buffer, settle| buffer.confirm_up_to(id, settle),
        );
        self.compare();
    }

    /// Of those that may be dropped, the least urgent one that is not written, or else the one that was written first.
    /// Without priorities the oldest one.
    fn evict_important(&mut self, limit: u64, written_too: bool) {
        let may = self.held.iter().filter(|held| {
            held.number < limit && !held.terms.best_effort && (written_too || !held.is_written())
        });
        let victim = may.min_by_key(|held| match self.with_priorities {
            true => (held.position, held.urgency, held.number),
            false => (None, 0, held.number),
        });
        let victim = victim.cloned();
        if let Some(victim) = &victim {
            self.drop_unanswered(victim);
        }
        let number = victim.map(|victim| victim.number);
        self.both(
            Outcome::Overflowed,
            |held| Some(held.number) == number,
            |buffer, settle| assert_eq!(buffer.evict_important(limit, written_too, settle), number),
        );
    }

    /// A message is dropped to which the peer may still reply.
    fn drop_unanswered(&mut self, held: &Held) {
        if let Some(position) = held.position.filter(|_| !self.named) {
            self.gone.insert(position);
        }
    }

    /// A reply names a message.
    fn name(&mut self) {
        self.named = true;
        self.gone.clear();
    }

    /// Its time has run out, and nothing keeps it.
    fn is_due(&self, held: &Held) -> bool {
        let kept = held.is_written() && !self.named && self.gone.len() >= self.max_len;
        !kept && held.terms.expires.is_some_and(|at| at <= self.now)
    }

    /// Messages were settled because their time has run out.
    fn expired(&mut self, settled: Vec<Gone>) {
        for (number, message, outcome, receipt) in settled {
            let place = self.held.iter().position(|held| held.number == number);
            let place = place.expect("settled once");
            let held = &self.held[place];
            assert!(held.terms.expires.is_some_and(|at| at <= self.now));
            assert_eq!((held.message, held.terms.receipt), (message, receipt));
            let expected = if held.ever {
                Outcome::Unconfirmed
            } else {
                Outcome::Expired
            };
            assert_eq!(outcome, expected);
            let held = self.held.remove(place);
            self.drop_unanswered(&held);
            self.settled
                .extend(held.position.map(|position| (position, held.terms.id)));
        }
    }

    fn terms(&mut self, size: u8, id: Id, ttl: Option<u8>) -> Terms {
        let id = match id {
            Id::Growing => self.last_id + 2,
            Id::Any(id) => u64::from(id),
        };
        self.last_id = id;
        // Numbers that follow each other have all combinations.
        let any = self.next.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60;
        Terms {
            size: size.into(),
            id,
            since: self.now,
            expires: ttl.map(|ttl| self.now + u64::from(ttl)),
            best_effort: ttl.is_some_and(|ttl| ttl % 4 != 0),
            receipt: true,
            key: any % 4,
            priority: (any / 4 % 4) as u8,
        }
    }

    fn hold(&mut self, number: u64, terms: Terms) {
        self.next = number + 1;
        self.insert(number, terms);
    }

    fn insert(&mut self, number: u64, terms: Terms) {
        let place = self.held.partition_point(|held| held.number < number);
        let (before, after) = self.held.split_at_mut(place);
        let key = |held: &&mut Held| held.terms.key == terms.key;
        let later = after.iter_mut().filter(key).map(|held| held.urgency).max();
        let urgency = match self.with_priorities {
            true => later.unwrap_or(0).max(terms.priority),
            false => 0,
        };
        for earlier in before.iter_mut().filter(key) {
            earlier.urgency = earlier.urgency.max(urgency);
        }
        let held = Held {
            number,
            message: number,
            terms,
            urgency,
            position: None,
            ever: false,
        };
        self.held.insert(place, held);
    }

    fn push(&mut self, size: u8, id: Id, ttl: Option<u8>) {
        let bytes: usize = self.held.iter().map(|held| held.terms.size as usize).sum();
        let fit = self.buffer.fit(size.into());
        if usize::from(size) > self.max_bytes {
            assert_eq!(fit, Fit::Never);
            return;
        }
        let room = self.held.len() < self.max_len && bytes + usize::from(size) <= self.max_bytes;
        assert_eq!(fit, if room { Fit::Now } else { Fit::Later });
        if room {
            let terms = self.terms(size, id, ttl);
            let number = self.buffer.push(self.next, terms);
            assert_eq!(number, self.next);
            self.hold(number, terms);
        }
    }

    /// Invariant 2: in order, each once, and none that has expired.
    fn take(&mut self, bytes: u8, limit: Option<u8>, in_flight: Option<u8>, alone: Option<u8>) {
        let bytes = usize::from(bytes).max(1);
        let limit = limit.map_or(u64::MAX, |limit| {
            self.held.first().map_or(0, |held| held.number) + u64::from(limit)
        });
        let barrier = self.skipped.front().copied().unwrap_or(u64::MAX);
        let limit = limit.min(barrier);
        let alone = alone.and_then(|pick| self.pick(pick));
        let alone = alone.map(|held| (held.number, held.terms.key));
        let in_flight = in_flight.map_or(usize::MAX, usize::from);
        let budget = Budget {
            bytes,
            in_flight,
            below: limit,
            alone: alone.map(|(number, _)| number),
        };
        let may = self.held.iter().filter(|held| !held.is_written());
        let mut may = may.filter(|held| self.may_go(held, limit, alone));
        assert_eq!(self.buffer.can_take(&budget), may.next().is_some());
        let (mut batch, mut settled) = (Vec::new(), Vec::new());
        let again = self
            .buffer
            .take(budget, self.now, &mut batch, &mut note(&mut settled));
        let taken_now = |held: &&mut Held| batch.iter().any(|taken| taken.number == held.number);
        // What was taken counts as written when the sweep comes.
        let mut swept = self.held.clone();
        std::mem::swap(&mut self.held, &mut swept);
        for held in self.held.iter_mut().filter(taken_now) {
            held.position = Some(u64::MAX);
            held.ever = true;
        }
        self.expired(settled);
        let left: BTreeSet<u64> = self.held.iter().map(|held| held.number).collect();
        swept.retain(|held| left.contains(&held.number));
        self.held = swept;
        let mut taken = 0;
        let mut before = 0;
        let mut room = bytes;
        let written = self.held.iter().filter(|held| held.is_written()).count();
        let mut waiting: Vec<usize> = (0..self.held.len())
            .filter(|&place| {
                let held = &self.held[place];
                !held.is_written() && self.may_go(held, limit, alone)
            })
            .collect();
        if alone.is_none() {
            waiting.sort_by_key(|&place| Reverse(self.held[place].urgency));
        }
        let expired = |held: &Held| held.terms.expires.is_some_and(|at| at <= self.now);
        for place in waiting {
            let held = &self.held[place];
            if taken == batch.len() {
                let full = room == 0 || written + taken >= in_flight;
                // A sweep in passing ends a batch.
                let swept = !self.with_priorities && (expired(held) || taken > 0);
                // Without the message that was to go alone nothing goes, until the next batch.
                let gone =
                    alone.is_some_and(|(alone, _)| left.iter().all(|&number| number != alone));
                let ended = full || swept || gone;
                assert!(ended, "a batch that could be larger: {batch:?}, {held:?}");
                break;
            }
            assert!(room > 0 && written + taken < in_flight && !expired(held));
            let Taken {
                number,
                position,
                message,
                ..
            } = batch[taken];
            assert_eq!((number, message), (held.number, held.message));
            if self.with_priorities {
                assert_eq!(position, self.next_position);
                self.next_position += 1;
            } else {
                assert_eq!(position, number);
            }
            room = room.saturating_sub((held.terms.size as usize).max(1));
            before += u64::from(held.ever);
            self.held[place].position = Some(position);
            self.held[place].ever = true;
            taken += 1;
        }
        assert_eq!(taken, batch.len());
        assert_eq!(again, before);
        self.last_batch = batch.into_iter().map(|taken| taken.number).collect();
    }

    /// Whether a message may be written, apart from how many are.
    fn may_go(&self, held: &Held, limit: u64, alone: Option<(u64, u64)>) -> bool {
        let alone = alone.is_none_or(|(alone, key)| match self.with_priorities {
            true => held.number <= alone && held.terms.key == key,
            false => held.number <= alone,
        });
        alone && held.number < limit
    }

    /// A change of the buffer, and those that it must settle.
    fn both(
        &mut self,
        outcome: Outcome,
        mut settled: impl FnMut(&Held) -> bool,
        change: impl FnOnce(&mut Buffer<u64>, &mut dyn FnMut(Settled<u64>)),
    ) {
        let mut gone = Vec::new();
        change(&mut self.buffer, &mut note(&mut gone));
        let mut expected: Vec<Gone> = Vec::new();
        self.held.retain(|held| {
            let hit = settled(held);
            if hit {
                expected.push((held.number, held.message, outcome, held.terms.receipt));
                self.settled
                    .extend(held.position.map(|position| (position, held.terms.id)));
            }
            !hit
        });
        if self.with_priorities {
            gone.sort_unstable_by_key(|gone| gone.0);
        }
        assert_eq!(gone, expected);
    }

    fn pick(&self, pick: u8) -> Option<&Held> {
        self.held.get(usize::from(pick))
    }

    fn pick_id(&self, pick: u8) -> u64 {
        let settled = self
            .settled
            .get(usize::from(pick) % (self.settled.len() + 1));
        match (self.pick(pick), settled) {
            (Some(held), _) => held.terms.id,
            (None, Some(&(_, id))) => id,
            (None, None) => pick.into(),
        }
    }

    /// Of two messages of one key, the later one is not written before the earlier one.
    fn check_keys(&self) {
        for key in 0..4 {
            let of_key = self.held.iter().filter(|held| held.terms.key == key);
            let mut last = Some(0);
            for held in of_key {
                let position = held.position;
                let overtakes = position.is_some() && (last.is_none() || position < last);
                assert!(!overtakes, "{held:?}");
                last = position;
            }
        }
    }

    /// For which messages evictions make room before they reach a more urgent message.
    fn check_making_room(&self) {
        let mut victims: Vec<&Held> = self.held.iter().collect();
        victims.sort_by_key(|held| match held.position {
            None => (false, u64::from(held.urgency), held.number),
            Some(position) => (true, position, 0),
        });
        for size in [0, 1, 40, 200, self.max_bytes] {
            for priority in 0..4 {
                let may_go = |held: &&&Held| !self.with_priorities || held.urgency <= priority;
                let going = victims.iter().take_while(may_go).count();
                let staying = &victims[going..];
                let bytes: usize = staying.iter().map(|held| held.terms.size as usize).sum();
                let fits = size <= self.max_bytes.saturating_sub(bytes) && bytes <= self.max_bytes;
                let expected = fits && staying.len() < self.max_len;
                assert_eq!(self.buffer.can_make_room(size, priority), expected);
            }
        }
    }

    /// How much more fits, into all of the buffer and into half of it.
    fn compare_room(&self, bytes: usize) {
        let left = |part: usize| {
            (
                (self.max_bytes / part).saturating_sub(bytes),
                (self.max_len / part).saturating_sub(self.held.len()),
            )
        };
        assert_eq!(self.buffer.room(), left(1));
        assert_eq!(self.buffer.half_room(), left(2));
        assert_eq!(self.buffer.capacity(), (self.max_bytes, self.max_len));
    }

    /// The oldest message, and the one that was written first.
    fn compare_first(&self) {
        let first = self.held.first().map(|held| held.number);
        assert_eq!(self.buffer.first(), first);
        let written = self.held.iter().filter(|held| held.is_written());
        let first_written = written.clone().filter_map(|held| held.position).min();
        let position = match self.with_priorities {
            true => first_written,
            false => first,
        };
        assert_eq!(self.buffer.first_position(), position);
        let important = written.filter(|held| !held.terms.best_effort);
        let important = important.min_by_key(|held| held.position);
        let important = important.map(|held| held.number);
        assert_eq!(self.buffer.first_written(), important);
    }

    /// Invariant 6.
    fn check_blocks(&self) {
        let blocks = &self.buffer.blocks;
        for (place, block) in blocks.iter().enumerate() {
            assert!(block.live > 0 || place + 1 == blocks.len());
            assert!(block.slots.capacity() <= BLOCK);
        }
    }

    /// Invariant 5, and what else the buffer tells of itself.
    fn compare(&self) {
        let held = &self.held;
        assert_eq!(self.buffer.len(), held.len());
        assert_eq!(self.buffer.is_empty(), held.is_empty());
        let sizes = held.iter().map(|held| held.terms.size as usize);
        let bytes = sizes.sum::<usize>();
        assert_eq!(self.buffer.bytes(), bytes);
        self.compare_room(bytes);
        self.compare_first();
        let written = held.iter().filter(|held| held.is_written()).count();
        assert_eq!(self.buffer.written(), written);
        assert_eq!(self.buffer.has_more(), written < held.len());
        let oldest = held.first().map(|held| held.terms.since);
        assert_eq!(self.buffer.oldest(), oldest);
        let kept = self.gone.len() >= self.max_len;
        let waiting = held.iter().filter(|held| !held.is_written() || !kept);
        if let Some(expiry) = waiting.filter_map(|held| held.terms.expires).min() {
            let told = self.buffer.next_expiry();
            assert!(told.is_some_and(|told| told <= expiry), "late: {told:?}");
        }
        assert_eq!(self.buffer.get(self.next), None);
        if self.with_priorities {
            self.check_keys();
        }
        self.check_blocks();
        // Of many a few are enough: not always the same ones.
        let step = 1 + held.len() / 32;
        for held in held.iter().skip(self.steps % step).step_by(step) {
            assert_eq!(self.buffer.get(held.number), Some(&held.message));
        }
        if step == 1 {
            let all = held.iter().map(|held| (held.number, &held.message));
            assert!(self.buffer.iter().eq(all));
        }
    }
}

/// Confirms whole blocks.
fn confirm_blocks(buffer: &mut Buffer<u64>, before: u64, settle: &mut dyn FnMut(Settled<u64>)) {
    while let Some(block) = buffer.confirm_block_below(before) {
        for (number, slot) in block.held() {
            settle(Settled {
                number,
                message: slot.message.unwrap(),
                outcome: Outcome::Confirmed,
                best_effort: slot.is_best_effort(),
                receipt: slot.has_receipt(),
            });
        }
    }
}

fn note(gone: &mut Vec<Gone>) -> impl FnMut(Settled<u64>) {
    |settled| {
        gone.push((
            settled.number,
            settled.message,
            settled.outcome,
            settled.receipt,
        ));
    }
}
