//! The state machine: what an event means for a stream. Pure: no runtime, no descriptor, no clock.
//!
//! # Invariants
//!
//! 1. First reason wins: once the status is `Closed`, no event changes it.
//! 8. Local actions are not the peer's: our own shutdown, abort, drop or runtime shutdown never gives a
//!    reason that blames the peer, and turns the peer's FIN into `Finished`.
//!
//! (The numbers are those of the list in `docs/architecture.md`.)

use super::event::Event;
use super::half_close::HalfClose;
use super::status::Status;
use crate::errors::CloseReason;

/// How one stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    half_close: HalfClose,
    /// Our own shutdown of the sending direction is done.
    shut_down: bool,
    status: Status,
}

impl State {
    pub(crate) fn new(half_close: HalfClose) -> Self {
        Self {
            half_close,
            shut_down: false,
            status: Status::Open,
        }
    }

    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    /// Whether our own shutdown is done: a broken pipe is then our own doing.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down
    }

    /// The state after `event`.
    pub(crate) fn on(mut self, event: Event) -> Self {
        // Invariant 1.
        if self.status.is_closed() {
            return self;
        }
        let finished = self.status == Status::PeerFinished;
        let closes = self.half_close == HalfClose::Close;
        let reason = match event {
            Event::ShutDown => {
                self.shut_down = true;
                if !finished {
                    return self;
                }
                CloseReason::Finished
            }
            // Invariant 8: after our own shutdown the peer's end is the orderly one.
            Event::Fin | Event::HungUp | Event::Vanished if self.shut_down => CloseReason::Finished,
            Event::Fin if !closes => {
                self.status = Status::PeerFinished;
                return self;
            }
            Event::Fin | Event::HungUp => CloseReason::PeerClosed,
            // The FIN came first and would have closed the stream, had it been heard of in time.
            Event::Reset { after_fin: true } if closes && !self.shut_down => {
                CloseReason::PeerClosed
            }
            // Without a shutdown of ours only an error ends both directions of a TCP connection.
            Event::Reset { .. } | Event::Vanished => CloseReason::Reset,
            Event::Failed(reason) => reason,
            Event::Stalled => CloseReason::Stalled,
            Event::Aborted => CloseReason::Aborted,
            Event::Dropped => CloseReason::Dropped,
            Event::RuntimeShutdown => CloseReason::RuntimeShutdown,
        };
        self.status = Status::Closed(reason);
        self
    }
}
