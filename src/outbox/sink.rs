//! An outbox as a sink.

use super::{Message, Outbox, SendError};
use futures_sink::Sink;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A [`Sink`] of important messages into an [`Outbox`], see [`Outbox::sink`].
///
/// It is flushed when the outbox has taken what it was given. That it was delivered is what receipts and
/// [`Outbox::shutdown`] are for.
pub struct OutboxSink<T: Message> {
    outbox: Outbox<T>,
    waiting: Option<T>,
}

impl<T: Message> OutboxSink<T> {
    pub(super) fn new(outbox: Outbox<T>) -> Self {
        Self {
            outbox,
            waiting: None,
        }
    }
}

impl<T: Message + Unpin> Sink<T> for OutboxSink<T> {
    type Error = SendError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_flush(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: T) -> Result<(), SendError<T>> {
        self.waiting = Some(message);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        if let Some(message) = self.waiting.take() {
            drop(self.outbox.try_send(message)?);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_flush(cx)
    }
}

impl<T: Message> fmt::Debug for OutboxSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxSink")
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}
