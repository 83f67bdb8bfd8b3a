//! How an outbox stands.

use super::GaveUp;
use crate::CloseReason;
use std::time::Duration;

/// How an outbox stands: what the watch channel of [`Outbox::status`](super::Outbox::status) carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// How the connection stands.
    pub link: Link,
    /// Messages that the outbox holds: not yet written, or not yet confirmed.
    pub queued: usize,
    /// Those of them that are written on this connection and not yet confirmed.
    pub unconfirmed: usize,
    /// The sizes of all that it holds, in bytes.
    pub bytes: usize,
    /// For how long the oldest of them has been held.
    pub oldest: Option<Duration>,
    /// Messages confirmed so far.
    pub delivered: u64,
    /// Times that a message was written again after a loss, so far.
    pub resent: u64,
    /// Messages dropped so far: expired, lost as best effort, or refused by the encoder.
    pub dropped: u64,
}

/// How the connection of an outbox stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// The first connection is being made.
    Connecting,
    /// There is a connection.
    Connected,
    /// There is none, and another one is made after a delay.
    #[non_exhaustive]
    Retrying {
        /// 1 for the first attempt after the loss.
        attempt: u32,
        /// How long after this status it is made.
        next_in: Duration,
        /// Why the last connection ended, or could not be made.
        reason: CloseReason,
    },
    /// The outbox is over: it was shut down, or its task is gone.
    Closed,
    /// The outbox is over: it gave up.
    GaveUp(GaveUp),
}
