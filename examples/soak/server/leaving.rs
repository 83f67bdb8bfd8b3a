//! The ways in which a client ends its connection, or makes the server end it.

use fastrand::Rng;
use hangup::CloseReason;
use hangup::serve::LimitReason;

/// What a client does last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// Closes without a request.
    SendsNothing,
    /// Closes after a response.
    Closes,
    /// Asks the server to close after the response.
    AsksToClose,
    /// Closes while a response is arriving.
    ClosesInABody,
    /// Resets the connection, after a response or while one is arriving.
    Resets,
    /// Sends a whole upload that the server refuses, and reads the answer.
    Uploads,
    SendsALongTarget,
    SendsALargeHead,
    /// Begins a head, and does not finish it.
    SendsHalfAHead,
    /// Sends nothing after a response.
    StaysIdle,
    /// Asks for an endless response, and does not read it.
    Stalls,
}

const LEAVING: [Leaving; 11] = [
    Leaving::SendsNothing,
    Leaving::Closes,
    Leaving::AsksToClose,
    Leaving::ClosesInABody,
    Leaving::Resets,
    Leaving::Uploads,
    Leaving::SendsALongTarget,
    Leaving::SendsALargeHead,
    Leaving::SendsHalfAHead,
    Leaving::StaysIdle,
    Leaving::Stalls,
];

impl Leaving {
    pub(crate) fn draw(random: &mut Rng) -> Self {
        let leaving = LEAVING[random.usize(..LEAVING.len())];
        let is_slow = matches!(
            leaving,
            Self::SendsHalfAHead | Self::StaysIdle | Self::Stalls
        );
        // Each of the slow ones takes seconds.
        match is_slow && random.u8(..200) > 0 {
            true => Self::Closes,
            false => leaving,
        }
    }

    /// The limit that the server reports.
    pub(crate) fn limit(self) -> Option<LimitReason> {
        match self {
            Self::SendsALongTarget => Some(LimitReason::UriLength),
            Self::SendsALargeHead => Some(LimitReason::HeadSize),
            Self::SendsHalfAHead => Some(LimitReason::HeadTimeout),
            Self::StaysIdle => Some(LimitReason::KeepAliveTimeout),
            _ => None,
        }
    }

    /// Whether a monitor may report this reason.
    pub(crate) fn allows(self, reason: &CloseReason) -> bool {
        match self {
            Self::Closes | Self::SendsNothing | Self::SendsALongTarget => {
                *reason == CloseReason::PeerClosed
            }
            // What it has not read makes its close a reset.
            Self::ClosesInABody => {
                matches!(reason, CloseReason::PeerClosed | CloseReason::Reset)
            }
            Self::Resets => *reason == CloseReason::Reset,
            // The server shuts down, and does not wait for the client's end.
            Self::AsksToClose => {
                matches!(reason, CloseReason::Finished | CloseReason::Dropped)
            }
            // It waits for the end of a client that may still be sending.
            Self::Uploads | Self::SendsALargeHead => *reason == CloseReason::Finished,
            Self::SendsHalfAHead | Self::StaysIdle => *reason == CloseReason::Dropped,
            Self::Stalls => *reason == CloseReason::Stalled,
        }
    }
}
