//! How messages go out, as the task sees it: what is to be written, and what is confirmed.

use super::shared::Shared;
use super::state::After;
use crate::outbox::{Message, Processed};
use std::sync::Arc;
use tokio::time::Instant;

/// The task holds the lock for so many messages, or about so many bytes of them, and lets senders in between:
/// whoever finds it taken for longer than a moment goes to sleep, which costs more than all the rest.
const HOLD: u64 = 64;
const HOLD_BYTES: usize = 8 * 1024;

impl<T: Message> Shared<T> {
    /// What the peer's replies say, and what is acknowledged.
    pub(crate) fn confirm(
        &self,
        acknowledged: Option<u64>,
        replies: &[Processed],
        after: &mut After<T>,
    ) {
        let durable = self.is_durable();
        if let Some(number) = acknowledged.filter(|_| !durable) {
            while self.lock().confirm_below(number, HOLD, after) {
                after.run();
            }
            return after.run();
        }
        let mut core = self.lock();
        core.settle(after, None, |buffer, mut settle| {
            if let Some(number) = acknowledged {
                buffer.confirm_below(number, &mut settle);
            }
            for reply in replies {
                match *reply {
                    Processed::One(id) => buffer.confirm_id(id, &mut settle),
                    Processed::UpTo(id) => buffer.confirm_up_to(id, &mut settle),
                    Processed::Oldest(count) => buffer.confirm_oldest(count, &mut settle),
                }
            }
        });
        drop(core);
        after.run();
    }

    /// Takes what is to be written next. Whether there is any.
    pub(crate) fn take(
        &self,
        bytes: usize,
        batch: &mut Vec<(u64, T)>,
        after: &mut After<T>,
    ) -> bool {
        let now = self.nanos(Instant::now());
        let mut taken = 0;
        while taken < bytes {
            let before = batch.len();
            let mut core = self.lock();
            if !core.has_more() {
                break;
            }
            core.now = now;
            core.task.waker = None;
            let mut again = 0;
            let limit = core.limit();
            core.settle(after, None, |buffer, mut settle| {
                again = buffer.take(HOLD_BYTES, limit, now, batch, &mut settle);
            });
            core.resent += again;
            core.changed = true;
            drop(core);
            after.run();
            let sizes = batch[before..].iter().map(|(_, message)| message.size());
            taken += sizes.sum::<usize>().max(1);
        }
        !batch.is_empty()
    }

    /// The encoder refused a message.
    pub(crate) fn refuse(&self, number: u64, why: &Arc<str>, after: &mut After<T>) {
        let mut core = self.lock();
        core.settle(after, Some(why), |buffer, mut settle| {
            buffer.refuse(number, &mut settle);
        });
        drop(core);
        after.run();
    }

    /// The connection is lost.
    pub(crate) fn rewind(&self, after: &mut After<T>) {
        let mut core = self.lock();
        core.settle(after, None, |buffer, mut settle| buffer.rewind(&mut settle));
        drop(core);
        after.run();
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.lock().delivered
    }
}
