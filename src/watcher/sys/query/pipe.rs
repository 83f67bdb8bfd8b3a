//! Pipes and FIFOs. A writer learns of the end of the last reader by `POLLERR`, and a reader of that of the last
//! writer by `POLLHUP` (poll(2)). There is no `SO_ERROR` to ask.

use super::super::contract::{Backlog, Observation};
use super::descriptor::Descriptor;
use crate::state::Event;

pub(super) fn examine(descriptor: Descriptor) -> Observation {
    match descriptor.poll() & (libc::POLLERR | libc::POLLHUP) {
        0 => Observation::default(),
        // Nothing can come or go any more: for a pipe that is the end whatever a half-close means.
        _ => descriptor.report(Event::HungUp),
    }
}

/// What the readers have taken. `FIONREAD` counts what waits in the pipe, on its writing end too (pipe(7)).
pub(super) fn drained(descriptor: Descriptor, accepted: u64) -> Option<u64> {
    // A pipe holds at most `pipe-max-size` bytes, and never 2^31. Only differences count.
    let waiting = descriptor.queued(libc::FIONREAD)?;
    Some((accepted + (1 << 31)).saturating_sub(waiting))
}

/// What waits in the pipe may be another writer's too: so at least the rest was taken.
pub(super) fn backlog(descriptor: Descriptor) -> Option<Backlog> {
    Some(Backlog {
        written: None,
        unacknowledged: descriptor.queued(libc::FIONREAD)?,
    })
}
