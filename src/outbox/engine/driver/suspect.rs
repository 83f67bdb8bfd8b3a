//! Which message may be the cause of lost connections, and what becomes of it.

use super::{Driver, Suspect};
use crate::errors::{ErrorClass, classify};
use crate::outbox::engine::session::is_ack_timeout;
use crate::outbox::engine::settle::Refusal;
use crate::outbox::message::Message;
use crate::outbox::undelivered::UndeliveredReason;
use crate::outbox::unsendable::{Unsendable, UnsendableReason};
use std::io;

impl<T: Message> Driver<T> {
    /// Updates the suspect after a lost connection, and sets it aside if it has had its attempts.
    ///
    /// `first` is the oldest message that was written and not confirmed. `alone` is the message that this connection
    /// was to carry alone. Losses that the network explains do not count, because they say nothing about the message.
    pub(super) fn suspect(&mut self, first: Option<u64>, alone: Option<u64>, error: &io::Error) {
        let Some(most) = self.limits.max_attempts else {
            return;
        };
        let class = classify(error);
        let by_network =
            matches!(class, ErrorClass::Network | ErrorClass::Timeout) && !is_ack_timeout(error);
        let Some(number) = first else {
            return;
        };
        let mut suspect = match self.suspect {
            Some(suspect) if suspect.number == number => suspect,
            _ => Suspect {
                number,
                losses: 0,
                alone: 0,
            },
        };
        if !by_network {
            suspect.losses += 1;
            suspect.alone += u32::from(alone == Some(number));
        }
        self.suspect = Some(suspect);
        if suspect.alone >= most {
            self.suspect = None;
            self.set_aside(number, suspect.alone);
        } else if suspect.losses >= 2 || most == 1 {
            self.shared.lock().alone = Some(number);
        }
    }

    /// Sets a message aside that ended `attempts` connections.
    fn set_aside(&mut self, number: u64, attempts: u32) {
        let message = self.shared.lock().buffer.get(number).cloned();
        let discard = self.shared.hand_over(Unsendable {
            number,
            message,
            bytes: None,
            reason: UnsendableReason::TooManyAttempts(attempts),
        });
        let refusal = Refusal {
            reason: UndeliveredReason::TooManyAttempts(attempts),
            bury: !discard,
        };
        self.shared.refuse(number, &refusal, &mut self.deferred);
    }
}
