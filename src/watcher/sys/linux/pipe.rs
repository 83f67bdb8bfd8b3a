//! Pipes and FIFOs. `POLLERR` tells a writer that the last reader has closed, and `POLLHUP` tells a reader that the last
//! writer has closed (poll(2)). There is no `SO_ERROR`.

use super::super::contract::{Backlog, Observation};
use super::descriptor::Descriptor;
use crate::state::Event;

pub(super) fn examine(descriptor: Descriptor) -> Observation {
    match descriptor.poll() & (libc::POLLERR | libc::POLLHUP) {
        0 => Observation::default(),
        // A pipe has one direction, so this is its end, whatever a half-close means.
        _ => descriptor.report(Event::HungUp),
    }
}

/// A number that grows with each byte that the readers take. `FIONREAD` counts the bytes that wait in the pipe, on its
/// writing end too (pipe(7)).
pub(super) fn drained(descriptor: Descriptor, accepted: u64) -> Option<u64> {
    // A pipe holds at most `pipe-max-size` bytes, which is below 2^31. Only differences have a meaning.
    let waiting = descriptor.queued(libc::FIONREAD)?;
    Some((accepted + (1 << 31)).saturating_sub(waiting))
}

/// How many bytes wait in the pipe. Some may come from another writer, so at least the rest of ours was taken.
pub(super) fn backlog(descriptor: Descriptor) -> Option<Backlog> {
    Some(Backlog {
        written: None,
        unacknowledged: descriptor.queued(libc::FIONREAD)?,
    })
}
