//! A message that a sender offers to the outbox.

use super::shared::OutboxShared;
use super::store_jobs::ToStore;
use crate::outbox::confirm::Ids;
use crate::outbox::message::{Importance, Message};
use crate::outbox::queue::block::Terms;
use crate::outbox::refused::{OutboxError, RefusedReason};

/// A message that a sender offers, before the outbox has accepted it.
pub(super) struct Offer<T> {
    pub(super) message: T,
    pub(super) terms: Terms,
    pub(super) importance: Importance,
    /// The record for the store. `accept` takes it when it accepts the message.
    ///
    /// In a box, because most offers have none, and an offer is moved several times.
    pub(super) to_store: Option<Box<ToStore<T>>>,
}

/// An offer that was not accepted, and why. The offer is kept so that it can be made again.
pub(super) struct Declined<T> {
    pub(super) offer: Offer<T>,
    pub(super) reason: RefusedReason,
}

impl<T> From<Declined<T>> for OutboxError<T> {
    fn from(declined: Declined<T>) -> Self {
        Self::new(declined.offer.message, declined.reason)
    }
}

impl<T: Message> OutboxShared<T> {
    /// The terms of a message in the queue; `None` if its size does not fit into 32 bits.
    pub(crate) fn terms(
        &self,
        message: &T,
        importance: Importance,
        receipt: bool,
    ) -> Option<Terms> {
        let (key, priority) = self.ranking.rank(message);
        Some(Terms {
            size: u32::try_from(message.size()).ok()?,
            id: match &self.ids {
                Ids::Numbers => 0,
                Ids::OfMessage(id) => id(message),
            },
            since: 0,
            expires: None,
            best_effort: importance.is_best_effort(),
            receipt,
            key,
            priority,
        })
    }

    /// Prepares a message. Calls the user's `Message::size` and the id function, without the lock.
    pub(super) fn offer(
        &self,
        message: T,
        importance: Importance,
        receipt: bool,
    ) -> Result<Offer<T>, OutboxError<T>> {
        match self.terms(&message, importance, receipt) {
            Some(terms) => Ok(Offer {
                message,
                terms,
                importance,
                to_store: None,
            }),
            None => Err(OutboxError::new(message, RefusedReason::TooLarge)),
        }
    }
}
