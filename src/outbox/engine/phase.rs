//! The phase of an outbox, and what it means for receipts and for new messages.

use crate::outbox::give_up::GiveUpReason;
use crate::outbox::refused::RefusedReason;
use crate::outbox::undelivered::UndeliveredReason;
use tokio::time::Instant;

/// The phase of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// It accepts no new messages, and delivers the held ones until this time.
    Draining(Instant),
    /// It gave up, and keeps its messages until it is resumed.
    Suspended(GiveUpReason),
    /// It ended, and delivers nothing more.
    Over(OutboxEnd),
}

/// How an outbox ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutboxEnd {
    ShutDown,
    GaveUp(GiveUpReason),
    TaskGone,
}

impl Phase {
    /// The reason that pending receipts report in this phase; `None` while messages are still delivered.
    pub(crate) fn undelivered(&self) -> Option<UndeliveredReason> {
        match self {
            Self::Open | Self::Draining(_) => None,
            Self::Suspended(why) | Self::Over(OutboxEnd::GaveUp(why)) => {
                Some(UndeliveredReason::GaveUp(why.clone()))
            }
            Self::Over(OutboxEnd::ShutDown) => Some(UndeliveredReason::ShutDown),
            Self::Over(OutboxEnd::TaskGone) => Some(UndeliveredReason::TaskGone),
        }
    }

    /// Why a new message is refused in this phase; `None` if it is accepted.
    pub(crate) fn refused(&self) -> Option<RefusedReason> {
        match self {
            Self::Open => None,
            Self::Draining(_) | Self::Over(OutboxEnd::ShutDown) => Some(RefusedReason::ShutDown),
            Self::Suspended(why) | Self::Over(OutboxEnd::GaveUp(why)) => {
                Some(RefusedReason::GaveUp(why.clone()))
            }
            Self::Over(OutboxEnd::TaskGone) => Some(RefusedReason::TaskGone),
        }
    }
}
