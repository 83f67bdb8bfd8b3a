//! All other stream sockets, such as vsock and SCTP, and TCP on a system that does not report its state.

use super::super::contract::Observation;
use super::descriptor::Descriptor;
use crate::state::Event;

pub(super) fn examine(descriptor: Descriptor) -> Observation {
    examine_by_poll(descriptor, Event::Vanished)
}

/// The flags of poll(2) as an event. `both` is the event for the end of both directions without an error.
pub(super) fn examine_by_poll(descriptor: Descriptor, both: Event) -> Observation {
    let flags = descriptor.poll();
    if flags & libc::POLLERR != 0 {
        // The error queue raises this flag on a healthy socket too, but then `SO_ERROR` is zero.
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
