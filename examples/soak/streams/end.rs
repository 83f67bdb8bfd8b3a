//! The ways in which a stream ends.

use super::kind::Kind;
use crate::waiting::LONGEST;
use hangup::{CloseReason, HalfClose, MonitorConfig, StallPolicy};
use std::time::Duration;

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    PeerLeaves,
    PeerLeavesUnderAWrite,
    PeerResets,
    /// The peer half-closes, and gets an answer.
    Answered,
    /// The peer half-closes, and nothing moves any more.
    HalfClosedForTooLong,
    /// We shut down, and then the peer leaves.
    WeFinish,
    WeAbort,
    WeDrop,
    PeerStalls,
}

const ENDS: [End; 9] = [
    End::PeerLeaves,
    End::PeerLeavesUnderAWrite,
    End::PeerResets,
    End::Answered,
    End::HalfClosedForTooLong,
    End::WeFinish,
    End::WeAbort,
    End::WeDrop,
    End::PeerStalls,
];

impl End {
    /// One that `kind` can have.
    pub(crate) fn draw(kind: Kind, random: &mut fastrand::Rng) -> Self {
        let end = ENDS[random.usize(..ENDS.len())];
        let (possible, slow) = match end {
            Self::PeerResets => (kind.resets(), false),
            Self::Answered => (kind.half_closes(), false),
            Self::HalfClosedForTooLong | Self::PeerStalls => (kind.half_closes(), true),
            Self::WeFinish => (kind.sends() && kind != Kind::Tls, false),
            Self::PeerLeavesUnderAWrite => (kind != Kind::Signal, true),
            Self::PeerLeaves | Self::WeAbort | Self::WeDrop => (true, false),
        };
        // Slow ones take megabytes, too.
        match possible && (!slow || random.u8(..32) == 0) {
            true => end,
            false => Self::PeerLeaves,
        }
    }

    pub(crate) fn config(self, random: &mut fastrand::Rng) -> MonitorConfig {
        let mut config = MonitorConfig::new().half_close(match self {
            Self::Answered => match random.bool() {
                true => HalfClose::Allow,
                false => HalfClose::AllowFor(LONGEST),
            },
            Self::HalfClosedForTooLong => HalfClose::AllowFor(Duration::from_millis(20)),
            _ => HalfClose::Close,
        });
        if self == Self::PeerStalls {
            config = config.stall(StallPolicy::new(1 << 40, Duration::from_millis(24)));
        } else if random.u8(..4) == 0 {
            config = config.stall(StallPolicy::new(1, LONGEST));
        }
        if random.u8(..4) == 0 {
            config = config.read_ahead(random.usize(1..10_000));
        }
        if random.u8(..4) == 0 {
            config = config.dead_peer_timeout(LONGEST * 2);
        }
        config.reset_on_stall(random.bool())
    }

    pub(crate) fn allows(self, kind: Kind, reason: &CloseReason) -> bool {
        match self {
            Self::PeerLeaves | Self::HalfClosedForTooLong => *reason == CloseReason::PeerClosed,
            // What it has not read makes its close a reset.
            Self::PeerLeavesUnderAWrite => {
                let truncated = kind == Kind::Tls && *reason == CloseReason::Truncated;
                truncated || matches!(reason, CloseReason::PeerClosed | CloseReason::Reset)
            }
            Self::PeerResets => *reason == CloseReason::Reset,
            Self::Answered | Self::WeFinish => *reason == CloseReason::Finished,
            Self::WeAbort => *reason == CloseReason::Aborted,
            Self::WeDrop => *reason == CloseReason::Dropped,
            Self::PeerStalls => *reason == CloseReason::Stalled,
        }
    }
}
