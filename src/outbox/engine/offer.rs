//! A message that a sender offers to the outbox.

use super::shared::OutboxShared;
use crate::outbox::confirm::Ids;
use crate::outbox::message::{Importance, Message};
use crate::outbox::queue::block::Terms;
use std::time::Duration;

/// What a sender offers with a message, before the outbox has accepted it.
#[derive(Clone, Copy)]
pub(crate) struct Offer {
    pub(super) terms: Terms,
    /// How long the outbox may hold the message.
    pub(super) limit: Option<Duration>,
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

    /// Prepares a message. Calls the user's `Message::size` and the id function, without the lock. `None` if the message
    /// is too large.
    #[inline]
    pub(super) fn offer(
        &self,
        message: &T,
        importance: Importance,
        receipt: bool,
    ) -> Option<Offer> {
        Some(Offer {
            terms: self.terms(message, importance, receipt)?,
            limit: importance.limit(),
        })
    }
}
