//! Unix sockets. A close ends both directions at once. If it leaves data unread, it is a reset (unix(7)).
//!
//! | flags of poll(2) | `SO_ERROR` | reported as |
//! |---|---|---|
//! | `POLLERR` | ECONNRESET | `Reset` |
//! | `POLLHUP` | none | `HungUp`: the peer has closed, or both sides have shut down |
//! | `POLLRDHUP` | none | `Fin`: the peer, or we ourselves, ended our input |

use super::super::contract::Observation;
use super::descriptor::Descriptor;
use super::socket;
use crate::state::Event;

pub(super) fn examine(descriptor: Descriptor) -> Observation {
    socket::examine_by_poll(descriptor, Event::HungUp)
}

/// What EPIPE from a write means. The error of a reset stays in the socket, for the next read.
pub(super) fn broken_pipe(descriptor: Descriptor) -> Event {
    match descriptor.poll() & libc::POLLERR {
        0 => Event::HungUp,
        _ => Event::Reset { after_fin: false },
    }
}
