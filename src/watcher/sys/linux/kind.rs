//! The kinds of descriptors on Linux.

/// The kind of a descriptor. It decides what every later answer means. It is determined once, when the descriptor is
/// registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp {
        /// `tcp::control_bytes_in` at the registration: 1 for a connection that we opened, or else 0.
        control_bytes: Option<u8>,
    },
    Mptcp,
    Unix,
    /// A pipe or a FIFO.
    Pipe,
    /// Any other stream socket, and TCP on a system that does not report its state.
    Socket,
}
