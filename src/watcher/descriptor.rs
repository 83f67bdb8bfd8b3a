//! The descriptor of one stream, and what the kernel has said about it.

use super::ack::{AckTracker, Moment};
use super::sys::{Observation, Target};
use crate::policy::{DelayStep, FinDelay};
use crate::state::{Event, SharedState};
use std::num::NonZeroI32;

/// The descriptor, and what the kernel has said about it. All of it is behind the socket's lock.
#[derive(Debug)]
pub(super) struct Descriptor {
    /// `None` once the stream is about to close it (invariant 3).
    pub(super) target: Option<Target>,
    /// The socket's error, taken by [`Socket::examine`](super::Socket::examine) and not yet returned by a read (invariant 4).
    pub(super) error: Option<NonZeroI32>,
    /// What that error meant. The kernel reports an error once, and later calls must give the same answer.
    pub(super) verdict: Option<Event>,
    /// A read has returned the socket's error. There is no second one for the next read.
    pub(super) read_failed: bool,
    pub(super) acks: AckTracker,
    /// We reset the connection, so the kernel has nothing more to report.
    pub(super) reset: bool,
    /// Set if a protocol above the socket decides what a FIN means.
    pub(super) fin_delay: Option<Box<FinDelay>>,
}

impl Descriptor {
    /// The kernel's answer, or the stored one if it reported an error before. The error is stored before the lock is
    /// released. A read that finds EOF instead of the error asks for it under the same lock, so it cannot ask too
    /// early.
    pub(super) fn look(&mut self, shared: &SharedState) -> Option<Event> {
        if self.verdict.is_some() {
            return self.verdict.clone();
        }
        if self.reset {
            return None;
        }
        let target = self.target?;
        let moment = Moment::between_calls(shared);
        let observation = target.examine();
        self.store(&observation, &moment, shared);
        observation.event
    }

    /// As [`look`](Self::look), for a connection that a read or a write found to be over. The call is at its `moment`.
    /// Returns whether the peer is known to have sent no FIN and no reset.
    pub(super) fn explain_end(&mut self, moment: &Moment, shared: &SharedState) -> bool {
        let Some(target) = self
            .target
            .filter(|_| self.verdict.is_none() && !self.reset)
        else {
            return false;
        };
        let observation = target.unexplained_end();
        self.store(&observation, moment, shared);
        observation.is_input_open && target.is_same()
    }

    fn store(&mut self, observation: &Observation, moment: &Moment, shared: &SharedState) {
        if let Some(error) = observation.error {
            self.error = NonZeroI32::new(error).filter(|_| !self.read_failed);
            self.verdict = observation.event.clone();
        }
        if let Some(backlog) = observation.backlog {
            self.acks.note(moment, backlog, shared);
        }
    }

    /// Whether `event` waits until an upper protocol has interpreted it. A reset after a FIN counts as that FIN, and so does
    /// the close of a Unix peer or of a pipe's other end, which ends both directions at once. Every other event is unambiguous.
    pub(super) fn delay_step(&mut self, event: &Event) -> DelayStep {
        match (&mut self.fin_delay, event) {
            (Some(delay), Event::Fin | Event::HungUp | Event::Reset { after_fin: true }) => {
                delay.on_fin()
            }
            _ => DelayStep::Over,
        }
    }

    /// How many of the accepted bytes the peer has acknowledged: now, or when the socket was detached.
    pub(super) fn acknowledged(&mut self, shared: &SharedState) -> Option<u64> {
        self.acks
            .acknowledged(self.target.filter(|_| !self.reset), shared)
    }

    /// Resets the connection, once.
    pub(super) fn reset(&mut self, shared: &SharedState) {
        let Some(target) = self.target.filter(|_| !self.reset) else {
            return;
        };
        // Store the count first: a reset makes the system forget it.
        self.acknowledged(shared);
        self.reset = true;
        target.reset();
    }
}
