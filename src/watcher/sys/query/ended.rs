//! What the systems have in common at the end of a socket: how it is reset, and what its end means.

use crate::state::Event;

/// What it means that both directions of a socket are over and no error says why, where the system
/// does not tell more: a Unix peer's close, or the end of a TCP connection.
pub(super) fn ended_without_error(fd: rustix::fd::BorrowedFd<'_>) -> Event {
    match rustix::net::getsockname(fd) {
        Ok(address) if address.address_family() == rustix::net::AddressFamily::UNIX => {
            Event::HungUp
        }
        _ => Event::Vanished,
    }
}

/// Has the connection reset when it is closed, where the system has no earlier way; a Unix socket, which
/// knows no reset, is shut down.
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
