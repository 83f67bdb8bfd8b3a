//! The hand-over of messages that cannot be sent.

use crate::outbox::dead_letter::{DeadLetter, DeadLetterAction};
use crate::outbox::user_code;

type OnDeadLetter<T> = Box<dyn FnMut(DeadLetter<T>) -> DeadLetterAction + Send>;

/// The user's handler. Its panics count as [`DeadLetterAction::Keep`].
pub(crate) struct DeadLetters<T>(pub(crate) OnDeadLetter<T>);

impl<T> DeadLetters<T> {
    /// Whether the store is to forget the message.
    pub(crate) fn hand_over(&mut self, letter: DeadLetter<T>) -> bool {
        let action = user_code::guard("the handler of dead letters", || Ok((self.0)(letter)));
        matches!(action, Ok(DeadLetterAction::Discard))
    }
}
