//! An outbox as a sink.

use super::engine::shared::Shared;
use super::{Importance, Message, Outbox, Refusal, SendError};
use futures_sink::Sink;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A [`Sink`] of important messages into an [`Outbox`], see [`Outbox::sink`].
///
/// It is flushed when the outbox has taken what it was given. That it was delivered is what receipts and
/// [`Outbox::shutdown`] are for. It counts as a handle of the outbox until it is dropped; to close it does
/// no more than to flush it.
pub struct OutboxSink<T: Message> {
    outbox: Outbox<T>,
    /// A message for which there was no room.
    waiting: Option<Taking<T>>,
}

type Taking<T> = Pin<Box<dyn Future<Output = Result<(), SendError<T>>> + Send>>;

impl<T: Message> OutboxSink<T> {
    pub(crate) fn new(outbox: Outbox<T>) -> Self {
        Self {
            outbox,
            waiting: None,
        }
    }

    fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let Some(waiting) = &mut self.waiting else {
            return Poll::Ready(Ok(()));
        };
        let taken = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(taken)
    }
}

async fn taken<T: Message>(shared: Arc<Shared<T>>, message: T) -> Result<(), SendError<T>> {
    shared.send(message, Importance::Important, false).await?;
    Ok(())
}

impl<T: Message> Sink<T> for OutboxSink<T> {
    type Error = SendError<T>;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        self.poll_taken(cx)
    }

    /// # Errors
    ///
    /// As [`Outbox::try_send`]; [`Full`](Refusal::Full) only if `poll_ready` was not ready before.
    fn start_send(mut self: Pin<&mut Self>, message: T) -> Result<(), SendError<T>> {
        if self.waiting.is_some() {
            let refusal = Refusal::Full;
            return Err(SendError { message, refusal });
        }
        let shared = self.outbox.shared();
        if shared.is_durable() {
            self.waiting = Some(Box::pin(taken(shared.clone(), message)));
            return Ok(());
        }
        match shared.try_send(message, Importance::Important, false) {
            Err(error) if error.refusal == Refusal::Full => {
                let taking = taken(shared.clone(), error.message);
                self.waiting = Some(Box::pin(taking));
                Ok(())
            }
            taken => taken.map(drop),
        }
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        self.poll_taken(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        self.poll_taken(cx)
    }
}

impl<T: Message> fmt::Debug for OutboxSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxSink")
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}
