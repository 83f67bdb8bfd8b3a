//! What the program sends: by calls that are awaited, cancelled or held, and by sinks.

use super::{History, Sending};
use crate::checks::Checks;
use crate::distracted::distracted;
use crate::message::Note;
use crate::sinks::NoteSink;
use futures::Sink;
use futures::task::noop_waker_ref;
use hangup::outbox::*;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout};

type Sent = Result<Receipt<Note>, OutboxError<Note>>;

/// A call of `send` was ready. Waits so long for the outcome of the message.
async fn await_outcome(checks: Checks, note: Note, sent: Sent, waits_for: Duration) {
    match sent {
        Err(error) => checks.refused(&error),
        Ok(mut receipt) => {
            checks.accepted(note);
            if note.id.is_multiple_of(3) {
                // Another task has polled it before.
                let mut cx = Context::from_waker(noop_waker_ref());
                if let Poll::Ready(outcome) = Pin::new(&mut receipt).poll(&mut cx) {
                    return checks.outcome(note, outcome);
                }
            }
            if let Ok(outcome) = timeout(waits_for, receipt).await {
                checks.outcome(note, outcome);
            }
        }
    }
}

impl History {
    pub(super) fn note(&mut self) -> (Note, Importance) {
        let important = self.rng.u8(0..4) > 0;
        let with_priorities = self.plan.with_priorities;
        let note = Note {
            id: self.next_id,
            important,
            pad: if self.rng.bool() {
                0
            } else {
                self.rng.usize(0..400)
            },
            key: if with_priorities {
                self.rng.u8(1..4)
            } else {
                0
            },
            priority: if with_priorities {
                self.rng.u8(0..3)
            } else {
                0
            },
        };
        self.next_id += 1;
        let longest = match self.rng.u8(0..4) {
            0 => 60,
            1 => 60_000,
            _ => 3000,
        };
        let limit = Duration::from_millis(self.rng.u64(0..longest));
        let importance = match important {
            true if self.rng.u8(0..3) == 0 => Importance::important_for(limit),
            true => Importance::Important,
            false => Importance::BestEffort { ttl: limit },
        };
        (note, importance)
    }

    /// A message without a limit.
    pub(super) fn important(&mut self) -> Note {
        let (mut note, _) = self.note();
        note.important = true;
        note
    }

    pub(super) fn sending(&self, note: Note, importance: Importance) -> Sending {
        let outbox = self.outbox().clone();
        self.checks.offered(note, importance);
        Box::pin(async move { outbox.send_with(note, importance).await })
    }

    /// A burst of sends, each in a task of its own.
    pub(super) fn send(&mut self) {
        for _ in 0..self.rng.usize(1..6) {
            let (note, importance) = self.note();
            let sending = self.sending(note, importance);
            let limit =
                (self.rng.u8(0..5) == 0).then(|| Duration::from_millis(self.rng.u64(0..500)));
            self.follow(note, sending, limit);
        }
    }

    pub(super) fn follow(&mut self, note: Note, sending: Sending, limit: Option<Duration>) {
        let (checks, durable) = (self.checks.clone(), self.is_durable());
        // Only a receipt tells that a message was dropped.
        let waits_for = match self.rng.u8(0..8) {
            0 if !self.plan.drops() => Duration::ZERO,
            1 if !self.plan.drops() => Duration::from_millis(self.rng.u64(0..1000)),
            _ => Duration::MAX,
        };
        let polled = checks.sending();
        self.waiting.push(tokio::spawn(async move {
            let began = Instant::now();
            let sent = match limit {
                None => sending.await,
                Some(limit) => match timeout(limit, sending).await {
                    Ok(sent) => sent,
                    Err(_) => return checks.cancelled(note, durable),
                },
            };
            drop(polled);
            checks.returned(note, began);
            await_outcome(checks, note, sent, waits_for).await;
        }));
    }

    /// A sender, or a sink, that is woken for its room, and does not take it at once, or not at all.
    pub(super) fn send_distracted(&mut self) {
        let pause = Duration::from_millis(self.rng.u64(0..60));
        if self.rng.bool() {
            let sink = NoteSink::new(self.outbox(), &self.checks, self.is_durable());
            let note = self.important();
            let left = self.checks.distracted();
            self.waiting.push(tokio::spawn(async move {
                sink.send_and_drop(note, pause).await;
                drop(left);
            }));
            return;
        }
        let (note, importance) = self.note();
        let sending = self.sending(note, importance);
        let (checks, durable, drops) = (self.checks.clone(), self.is_durable(), self.rng.bool());
        let left = checks.distracted();
        self.waiting.push(tokio::spawn(async move {
            let sent = match distracted(sending, pause).await {
                Ok(sent) => sent,
                Err(sending) if drops => {
                    drop((sending, left));
                    return checks.cancelled(note, durable);
                }
                Err(sending) => {
                    drop(left);
                    let _polled = checks.sending();
                    sending.await
                }
            };
            await_outcome(checks, note, sent, Duration::MAX).await;
        }));
    }

    pub(super) fn try_send(&mut self) {
        let (note, importance) = self.note();
        self.checks.offered(note, importance);
        let sent = self.outbox().try_send_with(note, importance);
        self.sent(note, sent);
    }

    /// A sink of a task.
    pub(super) fn send_by_sink(&mut self) {
        let sink = NoteSink::new(self.outbox(), &self.checks, self.is_durable());
        let notes = (0..self.rng.usize(1..6))
            .map(|_| self.important())
            .collect();
        let limit = self
            .rng
            .bool()
            .then(|| Duration::from_millis(self.rng.u64(0..500)));
        let polled = self.checks.sending();
        self.waiting.push(tokio::spawn(async move {
            sink.send_all(notes, limit).await;
            drop(polled);
        }));
    }

    /// Polls a held sink, and leaves it, or drops it.
    pub(super) fn touch_sink(&mut self) {
        self.touched += 1;
        let is_new = self.sinks.is_empty() || (self.sinks.len() < 4 && self.rng.bool());
        let mut sink = match is_new {
            true => NoteSink::new(self.outbox(), &self.checks, self.is_durable()),
            false => {
                let index = self.rng.usize(0..self.sinks.len());
                self.sinks.swap_remove(index)
            }
        };
        match self.rng.u8(0..8) {
            0 => return,
            1 => {
                sink.touch(Sink::poll_close);
            }
            2 => {
                sink.touch(Sink::poll_ready);
            }
            _ if sink.touch(Sink::poll_ready) => {
                let note = self.important();
                sink.send_and_leave(note, self.outbox());
                if self.rng.bool() {
                    sink.touch(Sink::poll_flush);
                }
            }
            _ => {}
        }
        self.sinks.push(sink);
    }

    /// A send that is polled once, and then held.
    pub(super) async fn send_and_hold(&mut self) {
        let (note, importance) = self.note();
        let mut sending = self.sending(note, importance);
        self.touched += 1;
        match futures::poll!(&mut sending) {
            Poll::Pending => self.idle.push((note, sending)),
            Poll::Ready(sent) => self.sent(note, sent),
        }
    }

    /// A send was ready.
    pub(super) fn sent(&mut self, note: Note, sent: Sent) {
        match sent {
            Ok(receipt) => {
                self.checks.accepted(note);
                if self.plan.drops() {
                    let checks = self.checks.clone();
                    self.waiting.push(tokio::spawn(async move {
                        let outcome = receipt.await;
                        checks.outcome(note, outcome);
                    }));
                }
            }
            Err(error) => self.checks.refused(&error),
        }
    }
}
