//! How messages leave the queue: the task takes them to write them, and confirms them.

use super::core::Core;
use super::deferred::Deferred;
use super::settle::Refusal;
use super::shared::OutboxShared;
use crate::outbox::message::Message;
use crate::outbox::processed::Processed;
use crate::outbox::queue::buffer::Taken;
use crate::outbox::undelivered::UndeliveredReason;
use tokio::time::Instant;

/// The task holds the lock for at most this many messages, or for about [`HOLD_BYTES`] of them. In between, senders
/// get the lock. A sender that waits for it longer than a moment is put to sleep by the kernel, which costs more than
/// all the rest of a send.
const HOLD: u64 = 64;
/// See [`HOLD`].
const HOLD_BYTES: usize = 8 * 1024;

impl<T: Message> OutboxShared<T> {
    /// Confirms what was written before this position. Returns whether any message was confirmed.
    pub(crate) fn confirm_below(&self, position: u64, deferred: &mut Deferred<T>) -> bool {
        let mut any = false;
        loop {
            let mut core = self.lock();
            self.read_clock(&mut core);
            let before = core.counts.delivered;
            let mut block = None;
            let more = if self.is_durable() {
                core.settle(deferred, None, |buffer, mut settle| {
                    buffer.confirm_below(position, &mut settle);
                });
                false
            } else {
                block = core.confirm_block_below(position, deferred);
                block.is_some() || core.confirm_below(position, HOLD, deferred)
            };
            any |= core.counts.delivered > before;
            drop(core);
            drop(block);
            deferred.run();
            if !more {
                return any;
            }
        }
    }

    /// Applies the peer's replies. Returns whether any message was confirmed or rejected.
    pub(crate) fn apply(&self, replies: &[Processed], deferred: &mut Deferred<T>) -> bool {
        let mut core = self.lock();
        self.read_clock(&mut core);
        let held = core.buffer.len();
        let rejects = |reply: &Processed| matches!(reply, Processed::Rejected(..));
        // Each rejection has a reason of its own. Other replies are applied together.
        for replies in replies.chunk_by(|one, next| !rejects(one) && !rejects(next)) {
            let refusal = match replies {
                [Processed::Rejected(_, why)] => Some(Refusal {
                    reason: UndeliveredReason::Rejected(why.clone()),
                    bury: false,
                }),
                _ => None,
            };
            core.settle(deferred, refusal.as_ref(), |buffer, mut settle| {
                for reply in replies {
                    match *reply {
                        Processed::One(id) => buffer.confirm_id(id, &mut settle),
                        Processed::UpTo(id) => buffer.confirm_up_to(id, &mut settle),
                        Processed::Oldest(count) => buffer.confirm_oldest(count, &mut settle),
                        Processed::Rejected(id, _) => buffer.refuse_id(id, &mut settle),
                    }
                }
            });
        }
        let any = core.buffer.len() < held;
        drop(core);
        deferred.run();
        any
    }

    /// Updates `core.now` if senders wait, because grants of room are timed.
    fn read_clock(&self, core: &mut Core<T>) {
        if !core.waiters.is_empty() || !core.store_waiters.is_empty() {
            core.now = self.nanos(Instant::now());
        }
    }

    /// Takes the next messages to write, up to about `bytes` and [`HOLD_BYTES`]. Returns their size, or 0 if there are
    /// none.
    pub(crate) fn take(
        &self,
        bytes: usize,
        now: Instant,
        messages: &mut Vec<Taken<T>>,
        deferred: &mut Deferred<T>,
    ) -> usize {
        let now = self.nanos(now);
        let mut core = self.lock();
        if !core.has_more() {
            return 0;
        }
        core.now = now;
        let waker = core.task.waker.take();
        let mut again = 0;
        let budget = core.budget(HOLD_BYTES.min(bytes));
        core.settle(deferred, None, |buffer, mut settle| {
            again = buffer.take(budget, now, messages, &mut settle);
        });
        core.counts.resent += again;
        core.changed = true;
        drop(core);
        // Without the lock, as in `poll_receipt`.
        drop(waker);
        deferred.run();
        let sizes = messages.iter().map(|taken| taken.message.size().max(1));
        sizes.sum()
    }

    /// A copy of a message that the buffer holds.
    pub(crate) fn held(&self, number: u64) -> Option<T> {
        self.lock().buffer.get(number).cloned()
    }

    /// Settles a message that cannot be delivered.
    pub(crate) fn refuse(&self, number: u64, refusal: &Refusal, deferred: &mut Deferred<T>) {
        let mut core = self.lock();
        self.read_clock(&mut core);
        core.settle(deferred, Some(refusal), |buffer, mut settle| {
            buffer.refuse(number, &mut settle);
        });
        drop(core);
        deferred.run();
    }

    /// The connection is lost: every unconfirmed message is to be written again.
    pub(crate) fn rewind(&self, deferred: &mut Deferred<T>) {
        let mut core = self.lock();
        self.read_clock(&mut core);
        core.settle(deferred, None, |buffer, mut settle| {
            buffer.rewind(&mut settle);
        });
        drop(core);
        deferred.run();
    }

    /// How many messages are written on this connection and unconfirmed.
    pub(crate) fn written(&self) -> usize {
        self.lock().buffer.written()
    }
}
