//! The hand-over of messages that cannot be sent.

use crate::outbox::unsendable::{Unsendable, UnsendableAction};
use crate::outbox::user_code;

type Handler<T> = Box<dyn FnMut(Unsendable<T>) -> UnsendableAction + Send>;

/// The user's handler. Its panics count as [`UnsendableAction::Keep`].
pub(crate) struct OnUnsendable<T>(pub(crate) Handler<T>);

impl<T> OnUnsendable<T> {
    /// Whether the store is to forget the message.
    pub(crate) fn hand_over(&mut self, letter: Unsendable<T>) -> bool {
        let action = user_code::guard("`on_unsendable`", || Ok((self.0)(letter)));
        matches!(action, Ok(UnsendableAction::Discard))
    }
}
