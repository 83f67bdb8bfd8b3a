//! How receipts learn the outcome of their messages.

use super::core::Core;
use super::shared::OutboxShared;
use crate::outbox::message::Message;
use crate::outbox::processed::ConfirmedBy;
use crate::outbox::undelivered::UndeliveredError;
use std::sync::MutexGuard;
use std::task::{Context, Poll};

impl<T: Message> OutboxShared<T> {
    /// Polls a receipt. A number that is in none of the tables belongs to a delivered message.
    pub(crate) fn poll_receipt(
        &self,
        number: u64,
        cx: &Context<'_>,
    ) -> Poll<Result<ConfirmedBy, UndeliveredError<T>>> {
        let mut core = self.lock();
        if let Some((message, reason)) = core.failed.remove(&number) {
            return Poll::Ready(Err(UndeliveredError::new(message, reason)));
        }
        let held = core.buffer.get(number);
        let Some(message) = held.or_else(|| core.backlog.receipts.get(&number)) else {
            return Poll::Ready(Ok(self.confirmed_by));
        };
        if let Some(reason) = core.phase.undelivered() {
            let message = message.clone();
            core.buffer.forget_receipt(number);
            let on_disk = core.backlog.receipts.remove(&number);
            drop(core);
            drop(on_disk);
            return Poll::Ready(Err(UndeliveredError::new(message, reason)));
        }
        let replaced = core.receipts.insert(number, cx.waker().clone());
        drop(core);
        // Not under the lock: a waker may own a task, and the task a handle of this outbox.
        drop(replaced);
        Poll::Pending
    }

    /// The receipt was dropped: the outcome of the message is not kept.
    #[inline]
    pub(crate) fn forget_receipt(&self, number: u64) {
        let mut core = self.lock();
        core.buffer.forget_receipt(number);
        // The usual case needs no lookup in a hash table.
        if core.receipts.is_empty() && core.failed.is_empty() && core.backlog.receipts.is_empty() {
            return;
        }
        Self::forget_outcome(core, number);
    }

    #[cold]
    fn forget_outcome(mut core: MutexGuard<'_, Core<T>>, number: u64) {
        let waker = core.receipts.remove(&number);
        let failed = core.failed.remove(&number);
        let on_disk = core.backlog.receipts.remove(&number);
        drop(core);
        drop((waker, failed, on_disk));
    }
}
