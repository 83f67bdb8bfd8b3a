//! Senders that wait for room, in the order in which they came. Pure.
//!
//! A sender that is woken and then not polled, because it is pinned somewhere or lost a `select!`, must not
//! stop the senders behind it. So a place in this queue is only a claim on free room: it is granted to as many senders as
//! fit, and a grant that is not used within a patience is passed over until its owner is polled again.

use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct WaitQueue<W> {
    /// Tickets grow.
    waiters: VecDeque<Waiter<W>>,
    next: u64,
    /// Waiters that are not passed over.
    competing: usize,
}

#[derive(Debug)]
struct Waiter<W> {
    ticket: u64,
    size: usize,
    turn: Turn,
    waker: Option<W>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Queued,
    /// It may take its room, since this time.
    Granted(u64),
    /// It did not take it in time.
    Passed,
}

/// Free room: bytes, and messages.
type Room = (usize, usize);

fn take(room: Room, size: usize) -> Option<Room> {
    Some((room.0.checked_sub(size)?, room.1.checked_sub(1)?))
}

impl<W> WaitQueue<W> {
    pub(crate) fn new() -> Self {
        Self {
            waiters: VecDeque::new(),
            next: 0,
            competing: 0,
        }
    }

    /// Whether somebody waits who is to go first.
    pub(crate) fn is_contended(&self) -> bool {
        self.competing > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// A sender of `size` bytes starts to wait.
    pub(crate) fn enter(&mut self, size: usize) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.waiters.push_back(Waiter {
            ticket,
            size,
            turn: Turn::Queued,
            waker: None,
        });
        self.competing += 1;
        ticket
    }

    /// A sender waits no longer.
    pub(crate) fn leave(&mut self, ticket: u64) {
        let left = self
            .place(ticket)
            .and_then(|place| self.waiters.remove(place));
        if left.is_some_and(|waiter| waiter.turn != Turn::Passed) {
            self.competing -= 1;
        }
    }

    /// The sender is polled: whether it may take its room now. If not, `waker` is woken when it may.
    pub(crate) fn poll(&mut self, ticket: u64, mut room: Room, waker: impl FnOnce() -> W) -> bool {
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
        waiter.waker = Some(waker());
        false
    }

    /// Grants the free room to as many senders as it reaches, and returns whom to wake.
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

    /// Passes over grants that are older than `patience`. Whether there were any.
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

    /// Wakes everybody: there is nothing left to wait for.
    pub(crate) fn wake_all(&mut self, wake: &mut Vec<W>) {
        wake.extend(
            self.waiters
                .iter_mut()
                .filter_map(|waiter| waiter.waker.take()),
        );
    }

    fn place(&self, ticket: u64) -> Option<usize> {
        self.waiters
            .binary_search_by_key(&ticket, |waiter| waiter.ticket)
            .ok()
    }
}
