//! Unix sockets. Their close ends both directions at once, or resets if it leaves data unread (unix(7)).

use super::super::contract::Observation;
use super::descriptor::Descriptor;
use super::socket;
use crate::state::Event;

pub(super) fn examine(descriptor: Descriptor) -> Observation {
    socket::examine_by_poll(descriptor, Event::HungUp)
}

/// What the peer has read. The queue is counted with the memory around the bytes, so it may be more than all
/// that was accepted; it is less than 2^31 (`unix_outq_len` in net/unix/af_unix.c). Only differences count.
pub(super) fn drained(descriptor: Descriptor, accepted: u64) -> Option<u64> {
    let waiting = descriptor.queued(libc::TIOCOUTQ)?;
    Some((accepted + (1 << 31)).saturating_sub(waiting))
}
