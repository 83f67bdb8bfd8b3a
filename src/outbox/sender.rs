//! The handle: where messages go in.

use super::engine::shared::Shared;
use super::{
    Builder, Connection, Importance, Message, OutboxSink, OutboxStatus, Receipt, SendError,
    Shutdown,
};
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A sender that keeps messages until they are confirmed, and sends them again after a reconnect.
///
/// Clones send into the same queue.
pub struct Outbox<T: Message> {
    shared: Arc<Shared<T>>,
}

impl<T: Message> Outbox<T> {
    /// Begins an outbox whose connections are made by `connect`: at first, and again after each loss.
    pub fn builder<F, R, C>(connect: F) -> Builder<T>
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = io::Result<C>> + Send + 'static,
        C: Into<Connection> + 'static,
    {
        Builder::new(connect)
    }

    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        shared.add_handle();
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.shared
    }

    /// Sends an important message: waits for room, and gives the receipt when the outbox has taken it.
    ///
    /// # Errors
    ///
    /// The message comes back if it is larger than the capacity, or the outbox is over, or the store of a
    /// [durable](super::Builder::durable) one did not keep it ([`NotKept`](super::Refusal::NotKept)).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe in this sense: if the future is dropped before it is ready, the message was not taken,
    /// and is dropped with it. (Of a durable outbox it may have been taken.)
    pub async fn send(&self, message: T) -> Result<Receipt<T>, SendError<T>> {
        self.send_with(message, Importance::Important).await
    }

    /// As [`send`](Self::send), with another importance.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_with(
        &self,
        message: T,
        importance: Importance,
    ) -> Result<Receipt<T>, SendError<T>> {
        let number = self.shared.send(message, importance, true).await?;
        Ok(self.shared.receipt(number))
    }

    /// Sends an important message if there is room now.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Full`](super::Refusal::Full). An important message of
    /// a durable outbox always: [`MustWait`](super::Refusal::MustWait).
    pub fn try_send(&self, message: T) -> Result<Receipt<T>, SendError<T>> {
        self.try_send_with(message, Importance::Important)
    }

    /// As [`try_send`](Self::try_send), with another importance.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_send_with(
        &self,
        message: T,
        importance: Importance,
    ) -> Result<Receipt<T>, SendError<T>> {
        let number = self.shared.try_send(message, importance, true)?;
        Ok(self.shared.receipt(number))
    }

    /// A [`Sink`](futures_sink::Sink) of important messages into this outbox, without receipts.
    pub fn sink(&self) -> OutboxSink<T> {
        OutboxSink::new(self.clone())
    }

    /// The watch channel on how the outbox stands.
    ///
    /// Told are each change of the link at once, and the counts at most ten times a second while they
    /// change: [`snapshot`](Self::snapshot) has those of this moment.
    pub fn status(&self) -> watch::Receiver<OutboxStatus> {
        self.shared.subscribe()
    }

    /// How the outbox stands at this moment.
    pub fn snapshot(&self) -> OutboxStatus {
        self.shared.snapshot()
    }

    /// Takes no new messages, delivers those it has, but no longer than `within`, and ends the
    /// connection. What could not be delivered comes back, in order.
    ///
    /// # Cancel safety
    ///
    /// The outbox stays shut down, and goes on delivering for as long as it was given. Call it again to
    /// wait on: the earlier of the two deadlines counts.
    pub async fn shutdown(&self, within: Duration) -> Shutdown<T> {
        self.shared.shutdown(within).await
    }
}

impl<T: Message> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl<T: Message> Drop for Outbox<T> {
    fn drop(&mut self) {
        self.shared.drop_handle();
    }
}

impl<T: Message> fmt::Debug for Outbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("status", &self.snapshot())
            .finish_non_exhaustive()
    }
}
