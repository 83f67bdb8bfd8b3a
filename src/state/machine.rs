//! The state machine: what an event means for a stream. Pure: no runtime, no descriptor, no clock.
//!
//! # Invariants
//!
//! 1. First reason wins: once the status is `Closed`, no event changes it.
//! 8. Local actions are not the peer's: our own shutdown, abort, drop or runtime shutdown never gives a
//!    reason that blames the peer, and turns the peer's FIN into `Finished`.
//! 10. A FIN alone refuses no write before the reader can know of it: [`State::is_fin_unread`].
//!
//! (The numbers are those of the list in `docs/architecture.md`.)
//!
//! # Transitions
//!
//! The entry is the next status. `Closed(reason)` is written as the reason, and "-" means no change. A closed stream has
//! no transitions (invariant 1).
//!
//! | event | open | open, after our shutdown | `PeerFinished` |
//! |---|---|---|---|
//! | `ShutDown` | open, after our shutdown | - | `Finished` |
//! | `Fin`, `EndOfInput`, if a FIN closes | `PeerClosed` | `Finished` | |
//! | `Fin`, `EndOfInput`, if it does not | `PeerFinished` | `Finished` | - |
//! | `HungUp` | `PeerClosed` | `Finished` | `PeerClosed` |
//! | `BothFinished` | `Finished` | `Finished` | `Finished` |
//! | `Vanished` | `Reset` | `Finished` | `Reset` |
//! | `Reset` after a FIN, if a FIN closes | `PeerClosed` | `PeerClosed` | |
//! | any other `Reset` | `Reset` | `Reset` | `Reset` |
//! | `Truncated` | `Truncated` | `Truncated` | `Truncated` |
//! | `Failed(reason)` | the reason | the reason | the reason |
//! | `Stalled`, `Aborted`, `Dropped`, `RuntimeShutdown` | the same name | the same name | the same name |

use super::event::Event;
use super::half_close::HalfClose;
use super::status::Status;
use crate::errors::CloseReason;

/// The state of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// Whether a FIN closes the stream.
    fin_closes: bool,
    /// Our own shutdown of the sending direction is done.
    shut_down: bool,
    status: Status,
    /// A FIN alone closed the stream, and no read has returned the end of the input.
    fin_unread: bool,
    /// The peer has finished, and the stream stayed open.
    peer_finished: bool,
}

impl State {
    /// A connection that is open in both directions.
    pub(crate) fn new(half_close: HalfClose) -> Self {
        Self {
            fin_closes: half_close.closes(),
            shut_down: false,
            fin_unread: false,
            peer_finished: false,
            status: Status::Open,
        }
    }

    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    /// Whether our own shutdown has completed. If it has, we have caused a broken pipe ourselves.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down
    }

    /// Whether only a FIN closed the stream, and no read has returned EOF yet.
    ///
    /// The data before that FIN may explain it, such as an HTTP 413 response. If a write failed first, many libraries
    /// would abandon the connection without reading that data.
    pub(crate) fn is_fin_unread(&self) -> bool {
        self.fin_unread
    }

    /// Whether the peer had finished before the stream closed, or has finished.
    pub(crate) fn has_peer_finished(&self) -> bool {
        self.peer_finished
    }

    /// Whether writes are refused even if a reader is about to read the FIN.
    pub(crate) fn refuses_writes(&self) -> bool {
        self.status.is_closed() && !self.fin_unread
    }

    /// The state after `event`.
    pub(crate) fn on(mut self, event: Event) -> Self {
        // Invariant 1.
        if self.status.is_closed() {
            // Invariant 10: this is more than a FIN, or the reader has seen the FIN.
            self.fin_unread &= matches!(event, Event::Fin | Event::Truncated);
            return self;
        }
        let finished = self.status == Status::PeerFinished;
        let closes = self.fin_closes;
        let reason = match event {
            Event::ShutDown => {
                self.shut_down = true;
                if !finished {
                    return self;
                }
                CloseReason::Finished
            }
            // Invariant 8: after our own shutdown, the peer's FIN completes an orderly close.
            Event::Fin | Event::EndOfInput | Event::HungUp | Event::Vanished if self.shut_down => {
                CloseReason::Finished
            }
            Event::Fin | Event::EndOfInput if !closes => {
                self.status = Status::PeerFinished;
                self.peer_finished = true;
                return self;
            }
            Event::Fin => {
                self.fin_unread = true;
                CloseReason::PeerClosed
            }
            Event::Truncated => {
                self.fin_unread = !self.shut_down;
                CloseReason::Truncated
            }
            Event::EndOfInput | Event::HungUp => CloseReason::PeerClosed,
            Event::BothFinished => CloseReason::Finished,
            // The FIN came before the reset, and would have closed the stream if it had been detected in time. If we
            // have shut down too, both directions had ended, and the reset changes nothing.
            Event::Reset { after_fin: true } if closes => CloseReason::PeerClosed,
            // Unless we have shut down, only an error ends both directions of a TCP connection.
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
