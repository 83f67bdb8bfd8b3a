//! A message that leaves the buffer, and why.

/// How a message was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Confirmed,
    /// Its time ran out before it was written.
    Expired,
    /// It was written, and the connection was lost or its time ran out.
    Unconfirmed,
    /// The encoder, the peer, or a limit of attempts refused it.
    Refused,
    /// It was dropped to make room.
    Overflowed,
}

/// A message that has left the buffer.
#[derive(Debug)]
pub(crate) struct Settled<T> {
    pub(crate) number: u64,
    pub(crate) message: T,
    pub(crate) outcome: Outcome,
    pub(crate) best_effort: bool,
    pub(crate) receipt: bool,
}
