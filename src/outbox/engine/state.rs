//! What is behind the lock: the buffer, who waits for what, and how far the outbox is.

use super::store_writer::Keeper;
use crate::outbox::queue::buffer::{Buffer, Fate, Settled};
use crate::outbox::{GaveUp, Link, Message, OutboxStatus, Reason, Refusal};
use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;

pub(crate) struct Core<T> {
    pub(crate) buffer: Buffer<T>,
    pub(crate) phase: Phase,
    pub(crate) link: Link,
    /// When the link's attempt is due, if it retries.
    pub(crate) due: Option<Instant>,
    /// Messages that failed, for receipts that are held.
    pub(crate) failed: HashMap<u64, (T, Reason)>,
    /// Of receipts that were polled.
    pub(crate) wakers: HashMap<u64, Waker>,
    pub(crate) task: TaskWaker,
    /// The last time that was looked at. It does while the task runs: that is never long.
    pub(crate) now: u64,
    /// Of the holder of the turnstile,
    pub(crate) room: Option<Waker>,
    /// and how many wait for room.
    pub(crate) waiting: usize,
    pub(crate) handles: usize,
    /// Of a durable outbox, until it is over.
    pub(crate) keeper: Option<Keeper<T>>,
    /// How many messages it has been given and is not done with,
    pub(crate) keeping: usize,
    /// and above all that it is done with. What it is not done with is not written.
    pub(crate) kept: u64,
    pub(crate) delivered: u64,
    pub(crate) resent: u64,
    pub(crate) dropped: u64,
    /// Something changed since the counts were last told.
    pub(crate) changed: bool,
}

/// When the task wants to be woken.
#[derive(Default)]
pub(crate) struct TaskWaker {
    /// `None` while the task runs, or is about to.
    pub(crate) waker: Option<Waker>,
    /// By any message,
    pub(crate) hungry: bool,
    /// or by one that expires before this.
    pub(crate) armed: u64,
}

/// How far the outbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Takes nothing new, and delivers until then.
    Draining(Instant),
    Over(End),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    ShutDown,
    GaveUp(GaveUp),
    TaskGone,
}

impl End {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::ShutDown => Reason::ShutDown,
            Self::GaveUp(why) => Reason::GaveUp(why.clone()),
            Self::TaskGone => Reason::TaskGone,
        }
    }

    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::ShutDown => Refusal::ShutDown,
            Self::GaveUp(why) => Refusal::GaveUp(why.clone()),
            Self::TaskGone => Refusal::TaskGone,
        }
    }
}

/// What is to be done when the lock is released: user code is dropped and tasks are woken without it.
pub(crate) struct After<T> {
    pub(crate) messages: Vec<T>,
    pub(crate) wakers: Vec<Waker>,
}

impl<T> After<T> {
    pub(crate) fn new() -> Self {
        Self {
            messages: Vec::new(),
            wakers: Vec::new(),
        }
    }

    /// To be called without the lock. Its room is kept for the next time, if that is little.
    pub(crate) fn run(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
        self.messages.clear();
        self.messages.shrink_to(1024);
    }
}

impl<T: Message> Core<T> {
    /// Runs `change`, which settles messages of the buffer, and sees to their receipts.
    pub(crate) fn settle(
        &mut self,
        after: &mut After<T>,
        refused: Option<&Arc<str>>,
        change: impl FnOnce(&mut Buffer<T>, &mut dyn FnMut(Settled<T>)),
    ) {
        let Self {
            buffer,
            failed,
            wakers,
            delivered,
            dropped,
            changed,
            keeper,
            ..
        } = self;
        let mut any = false;
        let mut forgotten = Vec::new();
        change(buffer, &mut |settled: Settled<T>| {
            any = true;
            let reason = match settled.fate {
                Fate::Confirmed => {
                    *delivered += 1;
                    None
                }
                Fate::Expired => Some(Reason::Expired),
                Fate::Unconfirmed => Some(Reason::Unconfirmed),
                Fate::Refused => Some(Reason::Refused(refused.cloned().unwrap_or_default())),
            };
            *dropped += u64::from(reason.is_some());
            if keeper.is_some() {
                forgotten.push(settled.number);
            }
            if settled.receipt && !wakers.is_empty() {
                after.wakers.extend(wakers.remove(&settled.number));
            }
            match reason {
                Some(reason) if settled.receipt => {
                    failed.insert(settled.number, (settled.message, reason));
                }
                _ => after.messages.push(settled.message),
            }
        });
        if let Some(keeper) = keeper.as_ref().filter(|_| any) {
            keeper.forget(forgotten);
        }
        if any {
            *changed = true;
            after.wakers.extend(self.room.take());
        }
    }

    /// The usual case of [`settle`](Self::settle), without a store, and the one that must be quick.
    /// At most so many at a time; whether there may be more.
    pub(crate) fn confirm_below(&mut self, number: u64, most: u64, after: &mut After<T>) -> bool {
        let before = self.buffer.len();
        let first = self.buffer.first().unwrap_or(number);
        let limit = number.min(first.saturating_add(most));
        let (messages, woken) = (&mut after.messages, &mut after.wakers);
        let wakers = &mut self.wakers;
        self.buffer
            .confirm_below(limit, &mut |settled: Settled<T>| {
                if settled.receipt && !wakers.is_empty() {
                    woken.extend(wakers.remove(&settled.number));
                }
                messages.push(settled.message);
            });
        let confirmed = before - self.buffer.len();
        if confirmed > 0 {
            self.delivered += confirmed as u64;
            self.changed = true;
            woken.extend(self.room.take());
        }
        confirmed > 0 && limit < number
    }

    /// Below this number all may be written.
    pub(crate) fn limit(&self) -> u64 {
        if self.keeping == 0 {
            u64::MAX
        } else {
            self.kept
        }
    }

    /// Whether there is anything to be written.
    pub(crate) fn has_more(&self) -> bool {
        self.buffer.has_more() && (self.keeping == 0 || self.buffer.has_below(self.kept))
    }

    /// The outbox is over. First end wins.
    pub(crate) fn end(&mut self, end: End, after: &mut After<T>) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        self.link = match &end {
            End::GaveUp(why) => Link::GaveUp(why.clone()),
            End::ShutDown | End::TaskGone => Link::Closed,
        };
        self.phase = Phase::Over(end);
        after
            .wakers
            .extend(self.wakers.drain().map(|(_, waker)| waker));
        after.wakers.extend(self.room.take());
        after.wakers.extend(self.task.waker.take());
        if self.handles == 0 {
            self.clear(after);
        }
    }

    /// Lets go of what is left, in order; receipts that are held get a clone each.
    pub(crate) fn clear(&mut self, after: &mut After<T>) -> Vec<T> {
        let reason = match &self.phase {
            Phase::Over(end) => end.reason(),
            Phase::Open | Phase::Draining(_) => return Vec::new(),
        };
        // What is left stays in the store.
        self.keeper = None;
        let mut left = Vec::with_capacity(self.buffer.len());
        let (failed, wakers) = (&mut self.failed, &mut self.wakers);
        self.buffer.clear(|number, message, receipt| {
            if receipt {
                after.wakers.extend(wakers.remove(&number));
                failed.insert(number, (message.clone(), reason.clone()));
            }
            left.push(message);
        });
        left
    }

    pub(crate) fn counts(&self, now: Instant, started: Instant) -> OutboxStatus {
        let age = |since| (now - started).saturating_sub(Duration::from_nanos(since));
        let mut link = self.link.clone();
        if let (Link::Retrying { next_in, .. }, Some(due)) = (&mut link, self.due) {
            *next_in = due.saturating_duration_since(now);
        }
        OutboxStatus {
            link,
            queued: self.buffer.len(),
            unconfirmed: self.buffer.written(),
            bytes: self.buffer.bytes(),
            oldest: self.buffer.oldest().map(age),
            delivered: self.delivered,
            resent: self.resent,
            dropped: self.dropped,
        }
    }
}
