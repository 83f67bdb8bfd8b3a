//! Stream sockets of any other kind, such as vsock and SCTP, and TCP where the system does not tell its state.

use super::super::contract::Observation;
use super::descriptor::Descriptor;
use crate::state::Event;

pub(super) fn examine(descriptor: Descriptor) -> Observation {
    examine_by_poll(descriptor, Event::Vanished)
}

/// What poll(2) says of a socket. `both`: what the end of both directions without an error means.
pub(super) fn examine_by_poll(descriptor: Descriptor, both: Event) -> Observation {
    let flags = descriptor.poll();
    if flags & libc::POLLERR != 0 {
        // The error queue raises the flag on a healthy socket, and has no error to take.
        if let Some(error) = descriptor.take_error() {
            return error;
        }
    }
    if flags & libc::POLLHUP != 0 {
        descriptor.report(both)
    } else if flags & libc::POLLRDHUP != 0 {
        descriptor.report(Event::Fin)
    } else {
        Observation::default()
    }
}
