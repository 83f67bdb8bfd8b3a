//! Simulated peers, buffers and runtimes, against [`Drain`]: each run is made from one number.
//!
//! The peer takes at a steady rate, and later perhaps nothing more. The writer is polled when its waker or the policy's timer
//! wakes it, or without a reason, and pauses now and then; its runtime is prompt, slow, blocked for a while, or finds that the
//! clock has jumped.

use super::drain::{Drain, Reading, Step, Verdict};
use super::stall_policy::{LOOKS, StallPolicy};
use std::time::{Duration, Instant};

/// Pseudorandom numbers (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// In milliseconds. A slice is a second.
const SLICE: u64 = 1000;
const WINDOW: u64 = SLICE * LOOKS as u64;

/// What the policy is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The bytes that the buffer has accepted.
    Accepted,
    /// Those that were accepted, and the memory of the messages that are not taken. The buffer accepts more only when a
    /// quarter of it is left, as a Unix socket does.
    Memory,
}

/// The memory of a message of a hundred bytes.
const MESSAGE: (u64, u64) = (100, 768);

struct Buffer {
    told: Told,
    capacity: u64,
    accepted: u64,
    taken: u64,
}

impl Buffer {
    fn held(&self) -> u64 {
        self.accepted - self.taken
    }

    fn has_room(&self) -> bool {
        let limit = match self.told {
            Told::Memory => self.capacity / 4,
            Told::Accepted => self.capacity - 1,
        };
        self.held() <= limit
    }

    fn take(&mut self, bytes: u64) {
        self.taken += bytes.min(self.held());
    }

    fn fill(&mut self) {
        self.accepted = self.taken + self.capacity;
    }

    fn reading(&self) -> Reading {
        match self.told {
            Told::Accepted => self.accepted.into(),
            Told::Memory => {
                let messages = self.held().div_ceil(MESSAGE.0);
                Reading::queue(self.accepted, messages * MESSAGE.1)
            }
        }
    }
}

/// How the runtime runs the writer.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Prompt,
    /// Each poll is late, and counts as in time.
    Slow,
    /// Each poll is late by up to three windows.
    Blocked,
}

struct Run {
    random: Random,
    drain: Drain,
    buffer: Buffer,
    /// The peer takes `chunk` bytes after each `every`, until it stops.
    chunk: u64,
    every: u64,
    next_take: u64,
    stops_at: u64,
    start: Instant,
    now: u64,
    mode: Mode,
    /// How many polls are left in this mode.
    polls: u64,
    /// A poll was due and in time since the clock jumped, or since a poll did not know of the room that there was. Two of
    /// those in a row look like a peer that takes nothing.
    is_settled: bool,
}

impl Run {
    fn new(seed: u64, told: Told, stops_at: u64) -> Self {
        let mut random = Random(seed);
        let every = 1 + random.below(SLICE / 2);
        let chunk = MESSAGE.0 * (1 + random.below(50));
        // In each window as many chunks as fit, less the one that may fall out of it.
        let bytes = chunk * (WINDOW / every - 1);
        let in_two_slices = chunk * (2 * SLICE / every + 2);
        let capacity = in_two_slices * (1 + random.below(8));
        let capacity = match told {
            // A quarter is left when the writer learns of the room.
            Told::Memory => 4 * capacity,
            Told::Accepted => capacity,
        };
        Self {
            drain: Drain::new(StallPolicy::new(bytes, Duration::from_millis(WINDOW))),
            buffer: Buffer {
                told,
                capacity,
                accepted: capacity,
                taken: 0,
            },
            chunk,
            every,
            next_take: random.below(every),
            stops_at,
            start: Instant::now(),
            now: 0,
            mode: Mode::Prompt,
            polls: 0,
            is_settled: true,
            random,
        }
    }

    /// The time goes on, and the peer takes.
    fn pass(&mut self, until: u64) {
        while self.next_take <= until.min(self.stops_at) {
            self.buffer.take(self.chunk);
            self.next_take += self.every;
        }
        self.now = until;
    }

    /// When the waker wakes the writer, if that is before `until`.
    fn woken(&self, until: u64) -> Option<u64> {
        let (mut held, mut at) = (self.buffer.held(), self.next_take);
        let limit = match self.buffer.told {
            Told::Memory => self.buffer.capacity / 4,
            Told::Accepted => self.buffer.capacity - 1,
        };
        while at <= until.min(self.stops_at) {
            held -= self.chunk.min(held);
            if held <= limit {
                return Some(at);
            }
            at += self.every;
        }
        None
    }

    /// Polls the writer, whose timer is set to `timer`. Returns when it is set next.
    fn poll(&mut self, timer: u64) -> Verdict {
        if self.polls == 0 {
            self.polls = 1 + self.random.below(40);
            self.mode = match self.random.below(3) {
                0 => Mode::Prompt,
                1 => Mode::Slow,
                _ => Mode::Blocked,
            };
        }
        self.polls -= 1;
        let timer = timer.max(self.now);
        let due = self.woken(timer).unwrap_or(timer).max(self.now);
        let due = match self.random.one_in(8) {
            true => self.now + self.random.below(due - self.now + 1),
            false => due,
        };
        let late_by = match self.mode {
            Mode::Prompt => self.random.below(3),
            Mode::Slow => self.random.below(SLICE),
            Mode::Blocked => self.random.below(3 * WINDOW),
        };
        self.pass(due + late_by);
        // While the clock jumps nobody runs, and so not the peer. Less than two slices may look like a pause of the peer.
        if self.is_settled && self.random.one_in(20) {
            self.is_settled = false;
            let jump = 2 * SLICE + self.random.below(50 * WINDOW);
            self.now += jump;
            self.next_take += jump;
            self.stops_at = self.stops_at.saturating_add(jump);
        }
        // A runtime that is late may have to ask the system first.
        let is_late = self.now >= timer + SLICE;
        let is_stale = is_late && self.is_settled && self.random.one_in(2);
        self.is_settled = !is_stale && (self.is_settled || (self.now >= timer && !is_late));
        if self.buffer.has_room() && !is_stale {
            self.buffer.fill();
            let now = self.instant();
            self.drain.done(Step::Write, now);
            // The program has nothing to send for a while.
            if self.random.one_in(20) {
                let pause = self.random.below(2 * WINDOW);
                self.pass(self.now + pause);
                self.buffer.fill();
            }
        }
        let now = self.instant();
        let buffer = &self.buffer;
        self.drain.pending(Step::Write, now, || buffer.reading())
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn milliseconds(&self, at: Instant) -> u64 {
        at.duration_since(self.start).as_millis() as u64
    }
}

const POLLS: usize = if cfg!(miri) { 50 } else { 1000 };

/// Each way of telling, with many seeds. `HANGUP_STALL_SEED` begins with another one.
fn runs() -> impl Iterator<Item = (u64, Told)> {
    let first = std::env::var("HANGUP_STALL_SEED").map_or(0, |seed| seed.parse().unwrap());
    let seeds = first..first + if cfg!(miri) { 4 } else { 512 };
    seeds.flat_map(|seed| [(seed, Told::Accepted), (seed, Told::Memory)])
}

#[test]
fn a_steady_peer_is_never_stalled() {
    for (seed, told) in runs() {
        let mut run = Run::new(seed, told, u64::MAX);
        let mut timer = 0;
        for poll in 0..POLLS {
            match run.poll(timer) {
                Verdict::Until(next) => timer = run.milliseconds(next),
                Verdict::Stalled => panic!("seed {seed}, {told:?}, poll {poll}"),
            }
        }
    }
}

/// Polls that are not due say nothing; of those that are, every second one counts at the least.
#[test]
fn a_peer_that_stops_is_always_found() {
    for (seed, told) in runs() {
        let stops_at = Random(!seed).below(20 * WINDOW);
        let mut run = Run::new(seed, told, stops_at);
        let (mut timer, mut due) = (0, 0);
        let mut accepted = None;
        let found = (0..50 * POLLS).any(|_| {
            let verdict = run.poll(timer);
            // The last room is used at the first poll that knows of it.
            let is_over = run.now > run.stops_at && accepted == Some(run.buffer.accepted);
            accepted = Some(run.buffer.accepted);
            due += usize::from(is_over && run.now >= timer);
            match verdict {
                Verdict::Until(next) => timer = run.milliseconds(next),
                Verdict::Stalled => return true,
            }
            due > 4 * LOOKS as usize
        });
        assert!(found, "seed {seed}, {told:?}");
        assert!(
            due <= 2 * LOOKS as usize + 2,
            "seed {seed}, {told:?}: {due} polls"
        );
    }
}
