//! The user's handler for messages that cannot be sent.

use crate::outbox::unsendable::{Unsendable, UnsendableAction};
use crate::outbox::user_code;

type Handler<T> = Box<dyn FnMut(Unsendable<T>) -> UnsendableAction + Send>;

/// The handler of `Builder::on_unsendable`. A panic counts as [`UnsendableAction::Keep`].
pub(crate) struct OnUnsendable<T>(pub(crate) Handler<T>);

impl<T> OnUnsendable<T> {
    /// Calls the handler. Returns whether the store may discard the message.
    pub(crate) fn hand_over(&mut self, letter: Unsendable<T>) -> bool {
        let action = user_code::guard("`on_unsendable`", || Ok((self.0)(letter)));
        matches!(action, Ok(UnsendableAction::Discard))
    }
}
