//! The end of a socket, on all systems except Linux: how it is reset, and what its end means.

use crate::state::Event;

/// The event for the end of both directions of a socket, if no error explains it: the close of a Unix peer, or the end of
/// a TCP connection.
pub(in crate::watcher::sys) fn ended_without_error(fd: rustix::fd::BorrowedFd<'_>) -> Event {
    match rustix::net::getsockname(fd) {
        Ok(address) if address.address_family() == rustix::net::AddressFamily::UNIX => {
            Event::HungUp
        }
        _ => Event::Vanished,
    }
}

/// Makes the close of the descriptor send a reset. A Unix socket has no reset, so it is shut down instead.
pub(super) fn reset_at_close(fd: rustix::fd::BorrowedFd<'_>) {
    use rustix::net;
    // An error means that the connection is over already.
    let _ = match net::getsockname(fd) {
        Ok(address) if address.address_family() == net::AddressFamily::UNIX => {
            net::shutdown(fd, net::Shutdown::Both)
        }
        _ => net::sockopt::set_socket_linger(fd, Some(std::time::Duration::ZERO)),
    };
}
