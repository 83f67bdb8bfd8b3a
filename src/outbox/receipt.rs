//! What becomes of one message.

use super::engine::shared::Shared;
use super::{Message, Undelivered};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The message was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Delivered {}

/// What becomes of one message: a future that resolves to [`Delivered`], or to [`Undelivered`] with the
/// message itself and why not.
///
/// It may be dropped at any time: the message is delivered all the same, and one that fails is dropped.
/// It keeps neither the outbox nor its task alive.
///
/// # Cancel safety
///
/// Cancel safe: poll it by `&mut` and nothing is lost.
#[must_use = "futures do nothing unless you `.await` or poll them; drop it if the message's fate does not matter"]
pub struct Receipt<T: Message> {
    shared: Arc<Shared<T>>,
    number: u64,
    done: bool,
}

impl<T: Message> Receipt<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, number: u64) -> Self {
        Self {
            shared,
            number,
            done: false,
        }
    }
}

impl<T: Message> Future for Receipt<T> {
    type Output = Result<Delivered, Undelivered<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let fate = self.shared.poll_receipt(self.number, cx);
        self.done = fate.is_ready();
        fate
    }
}

impl<T: Message> Drop for Receipt<T> {
    fn drop(&mut self) {
        if !self.done {
            self.shared.forget_receipt(self.number);
        }
    }
}

impl<T: Message> fmt::Debug for Receipt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
