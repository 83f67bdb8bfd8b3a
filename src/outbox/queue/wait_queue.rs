//! Senders that wait for room, in the order of their arrival.
//!
//! A place in this queue is a claim on free room, not a lock. Room is granted to as many senders as it is enough for,
//! from the front. A granted sender takes the room when it is polled.
//!
//! A sender may be woken and then not polled: it may be pinned somewhere, or have lost a `select!`. It must not stop
//! the senders behind it. So a grant that is not used in time is passed over until its owner is polled again.
//!
//! ```text
//!  Queued ──grant──▶ Granted ──polled──▶ takes its room and leaves
//!    ▲                  │ not used in time
//!    └─────polled──── Passed
//! ```

use std::collections::VecDeque;

/// The queue. `W` is the waker, so that tests can use a plain value.
#[derive(Debug)]
pub(crate) struct WaitQueue<W> {
    /// In the order of their tickets, which grow.
    waiters: VecDeque<Waiter<W>>,
    next: u64,
    /// How many waiters are not passed over.
    competing: usize,
    /// No sender has to be woken for the end of its time before this.
    earliest: u64,
}

/// A sender that waits.
#[derive(Debug)]
struct Waiter<W> {
    ticket: u64,
    size: usize,
    /// When its time is over; `u64::MAX` means never, or that it was woken.
    ends: u64,
    turn: Turn,
    waker: Option<W>,
}

/// The state of a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It waits for room.
    Queued,
    /// It may take its room. The grant was given at this time.
    Granted(u64),
    /// It did not take its room in time.
    Passed,
}

/// Free room: a number of bytes and a number of messages.
type Room = (usize, usize);

/// The room that is left after a message of `size` bytes; `None` if the message does not fit.
fn take(room: Room, size: usize) -> Option<Room> {
    Some((room.0.checked_sub(size)?, room.1.checked_sub(1)?))
}

impl<W> WaitQueue<W> {
    pub(crate) fn new() -> Self {
        Self {
            waiters: VecDeque::new(),
            next: 0,
            competing: 0,
            earliest: u64::MAX,
        }
    }

    /// Whether a new sender has to wait behind others.
    pub(crate) fn is_contended(&self) -> bool {
        self.competing > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// A sender of `size` bytes starts to wait, until `ends` at most. Returns its ticket.
    pub(crate) fn enter(&mut self, size: usize, ends: u64) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.waiters.push_back(Waiter {
            ticket,
            size,
            ends,
            turn: Turn::Queued,
            waker: None,
        });
        self.earliest = self.earliest.min(ends);
        self.competing += 1;
        ticket
    }

    /// A sender stops waiting. Returns its waker, for the caller to drop.
    pub(crate) fn leave(&mut self, ticket: u64) -> Option<W> {
        let place = self.place(ticket)?;
        let left = self.waiters.remove(place)?;
        if left.turn != Turn::Passed {
            self.competing -= 1;
        }
        left.waker
    }

    /// Polls a sender: returns whether it may take its room now. If not, its waker is kept for the next grant, and the one
    /// before goes to `replaced`.
    pub(crate) fn poll(
        &mut self,
        ticket: u64,
        mut room: Room,
        waker: impl FnOnce() -> W,
        replaced: &mut Option<W>,
    ) -> bool {
        let Some(place) = self.place(ticket) else {
            return false;
        };
        let mut first = true;
        for waiter in self.waiters.range(..place) {
            match waiter.turn {
                Turn::Queued => first = false,
                Turn::Granted(_) => match take(room, waiter.size) {
                    Some(left) => room = left,
                    None => first = false,
                },
                Turn::Passed => {}
            }
            if !first {
                break;
            }
        }
        let waiter = &mut self.waiters[place];
        if first && take(room, waiter.size).is_some() {
            return true;
        }
        if waiter.turn == Turn::Passed {
            self.competing += 1;
        }
        waiter.turn = Turn::Queued;
        *replaced = waiter.waker.replace(waker());
        false
    }

    /// Grants the free room to senders, from the front, and adds the wakers of new grants to `wake`.
    pub(crate) fn grant(&mut self, mut room: Room, now: u64, wake: &mut Vec<W>) {
        for waiter in &mut self.waiters {
            match waiter.turn {
                Turn::Passed => continue,
                Turn::Granted(_) | Turn::Queued => {}
            }
            let Some(left) = take(room, waiter.size) else {
                return;
            };
            room = left;
            if waiter.turn == Turn::Queued {
                waiter.turn = Turn::Granted(now);
                wake.extend(waiter.waker.take());
            }
        }
    }

    /// Passes over grants that are older than `patience`. Returns whether there were any.
    pub(crate) fn pass_on(&mut self, now: u64, patience: u64) -> bool {
        let before = self.competing;
        for waiter in &mut self.waiters {
            if matches!(waiter.turn, Turn::Granted(since) if since.saturating_add(patience) <= now)
            {
                waiter.turn = Turn::Passed;
                self.competing -= 1;
            }
        }
        self.competing < before
    }

    /// When the oldest grant was given.
    pub(crate) fn oldest_grant(&self) -> Option<u64> {
        let turns = self
            .waiters
            .iter()
            .take_while(|waiter| waiter.turn != Turn::Queued);
        turns
            .filter_map(|waiter| match waiter.turn {
                Turn::Granted(since) => Some(since),
                Turn::Queued | Turn::Passed => None,
            })
            .min()
    }

    /// Wakes the senders whose time is over.
    pub(crate) fn wake_expired(&mut self, now: u64, wake: &mut Vec<W>) {
        if self.earliest > now {
            return;
        }
        self.earliest = u64::MAX;
        for waiter in &mut self.waiters {
            if waiter.ends <= now {
                waiter.ends = u64::MAX;
                wake.extend(waiter.waker.take());
            }
            self.earliest = self.earliest.min(waiter.ends);
        }
    }

    /// When [`wake_expired`](Self::wake_expired) may next find a sender. It may be early, but never late.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        (self.earliest != u64::MAX).then_some(self.earliest)
    }

    /// Wakes every sender, because the outbox ends.
    pub(crate) fn wake_all(&mut self, wake: &mut Vec<W>) {
        wake.extend(
            self.waiters
                .iter_mut()
                .filter_map(|waiter| waiter.waker.take()),
        );
    }

    /// The index of a ticket.
    fn place(&self, ticket: u64) -> Option<usize> {
        self.waiters
            .binary_search_by_key(&ticket, |waiter| waiter.ticket)
            .ok()
    }
}
