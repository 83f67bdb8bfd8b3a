//! An outbox as a sink.

use super::engine::enqueue::Unsent;
use super::engine::shared::OutboxShared;
use super::message::{Importance, Message};
use super::refused::{OutboxError, RefusedReason};
use futures_sink::Sink;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A [`Sink`] of important messages, see [`Outbox::sink`](super::Outbox::sink).
///
/// A flush waits until the outbox has accepted every message, not until they are delivered:
/// [receipts](super::Receipt) and [`Outbox::shutdown`](super::Outbox::shutdown) report that. Closing the sink flushes
/// it. Until it is dropped it counts as a handle of the outbox.
///
/// ```
/// use futures::{SinkExt, StreamExt, stream};
/// use hangup::outbox::Outbox;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
/// let readings = stream::iter(["21.3", "21.4", "21.5"]);
/// readings.map(Ok).forward(outbox.sink()).await?;
/// assert_eq!(outbox.status().queued, 3);
///
/// let mut sink = outbox.sink().with(async |reading: f32| {
///     Ok::<&str, hangup::outbox::OutboxError<_>>(if reading > 30.0 { "hot" } else { "fine" })
/// });
/// # let mut sink = Box::pin(sink);
/// sink.send(31.0).await?;
/// assert_eq!(outbox.status().queued, 4);
/// # Ok(())
/// # }
/// ```
pub struct OutboxSink<T: Message> {
    shared: Arc<OutboxShared<T>>,
    /// A message for which there was no room.
    waiting: Option<Accepting<T>>,
}

type Accepting<T> = Pin<Box<dyn Future<Output = Result<(), OutboxError<T>>> + Send>>;

impl<T: Message> OutboxSink<T> {
    pub(crate) fn new(shared: Arc<OutboxShared<T>>) -> Self {
        shared.add_handle();
        Self {
            shared,
            waiting: None,
        }
    }

    /// A message was not accepted at once: waits until it is, if it may be.
    #[cold]
    fn wait(&mut self, unsent: Unsent<T>) -> Result<(), OutboxError<T>> {
        let unsent = match unsent {
            Unsent::Refused(error) => return Err(error),
            unsent => Box::new(unsent),
        };
        let shared = self.shared.clone();
        self.waiting = Some(Box::pin(async move {
            shared.send_later(unsent).await?;
            Ok(())
        }));
        Ok(())
    }

    fn poll_accepted(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), OutboxError<T>>> {
        let Some(waiting) = &mut self.waiting else {
            return Poll::Ready(Ok(()));
        };
        let accepted = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(accepted)
    }
}

impl<T: Message> Sink<T> for OutboxSink<T> {
    type Error = OutboxError<T>;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutboxError<T>>> {
        ready!(self.poll_accepted(cx))?;
        self.shared.poll_let_others_run(cx).map(Ok)
    }

    /// # Errors
    ///
    /// As [`Outbox::try_send`](super::Outbox::try_send); [`Full`](RefusedReason::Full) only if `poll_ready` was
    /// not ready before, or with [`Overflow::Refuse`](super::Overflow::Refuse).
    fn start_send(mut self: Pin<&mut Self>, message: T) -> Result<(), OutboxError<T>> {
        if self.waiting.is_some() {
            return Err(OutboxError::new(message, RefusedReason::Full));
        }
        match self.shared.send_now(message, Importance::Important, false) {
            Ok(_) => Ok(()),
            Err(unsent) => self.wait(*unsent),
        }
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutboxError<T>>> {
        self.poll_accepted(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutboxError<T>>> {
        self.poll_accepted(cx)
    }
}

impl<T: Message> Drop for OutboxSink<T> {
    fn drop(&mut self) {
        self.shared.drop_handle();
    }
}

impl<T: Message> fmt::Debug for OutboxSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxSink")
            .field("status", &self.shared.current())
            .finish_non_exhaustive()
    }
}
