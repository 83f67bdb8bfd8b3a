//! What a reply of the peer means.

use std::sync::Arc;

/// What a reply says about messages.
///
/// An id that the outbox does not hold, or has not written yet, has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Processed {
    /// The peer has processed the message with this id. If several messages have it, the oldest unconfirmed one
    /// counts.
    One(u64),
    /// The peer has processed every written message whose id is at most this one: for ids that grow.
    UpTo(u64),
    /// The peer has processed this many of the messages that are written on this connection and not
    /// confirmed, the oldest first: for replies without ids, in the order of the messages.
    Oldest(u64),
    /// The peer refuses the message with this id and will not accept it later either: its receipt
    /// resolves to [`Rejected`](super::UndeliveredReason::Rejected) with these words, and it is not sent again.
    Rejected(u64, Arc<str>),
}

/// What confirmed a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfirmedBy {
    /// The peer's TCP acknowledged its last byte. The peer's program may not have read it.
    Tcp,
    /// A reply of the peer's program.
    Reply,
}
