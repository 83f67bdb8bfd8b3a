//! Linux: what the kernel says of one socket.

#![allow(unsafe_code)]

use super::super::contract::{Backlog, Observation, Raw};
use super::ended::reset_at_close;
use crate::errors::CloseReason;
use crate::state::Event;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::connect_unspec;
use rustix::net::sockopt::socket_error;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Asks the kernel about one socket: one system call while nothing has happened to it.
pub(in crate::watcher) fn examine(raw: Raw) -> Observation {
    // SAFETY: the caller holds the socket's lock, under which the number is the open stream's.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    match tcp_state(fd) {
        Some(tcp::CLOSE) => take_error(fd).unwrap_or_else(|| Event::Vanished.into()),
        // The peer's FIN is in these states only (RFC 9293, section 3.3.2).
        Some(tcp::CLOSE_WAIT | tcp::LAST_ACK | tcp::CLOSING | tcp::TIME_WAIT) => Event::Fin.into(),
        // A shutdown of our own receiving side raises RDHUP, and the error queue (time stamps,
        // zero-copy) raises ERR, on a healthy connection.
        Some(_) => Observation::default(),
        None => examine_untold(fd),
    }
}

/// The same for a socket that has no state to tell.
fn examine_untold(fd: BorrowedFd<'_>) -> Observation {
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
    if !matches!(poll(&mut polled, Some(&NOW)), Ok(1..)) {
        return Observation::default();
    }
    let flags = polled[0].revents();
    if flags.contains(PollFlags::ERR) {
        if let Some(error) = take_error(fd) {
            return error;
        }
    }
    if flags.contains(PollFlags::HUP) {
        Event::HungUp.into()
    } else if flags.contains(PollFlags::RDHUP) {
        Event::Fin.into()
    } else {
        Observation::default()
    }
}

/// A write on TCP finds a broken pipe when a reset came after a FIN (`tcp_reset` in
/// net/ipv4/tcp_input.c); on other sockets when the peer closed.
pub(in crate::watcher) fn broken_pipe(raw: Raw) -> Event {
    // SAFETY: as in `examine`.
    match tcp_state(unsafe { BorrowedFd::borrow_raw(raw) }) {
        Some(_) => Event::Reset { after_fin: true },
        None => Event::HungUp,
    }
}

/// Lends the socket to safe code.
pub(in crate::watcher) fn lend<T>(raw: Raw, user: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: as in `examine`, and `user` must take any lifetime, so it cannot keep it.
    user(unsafe { BorrowedFd::borrow_raw(raw) })
}

/// By what TCP has acknowledged, or what a Unix peer has read.
pub(in crate::watcher) fn drained(raw: Raw, accepted: u64) -> u64 {
    // SAFETY: as in `examine`.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    if let Some((_, acknowledged)) = acknowledged(fd) {
        return acknowledged;
    }
    // What waits in the peer's queue is counted with the memory around it, and so may be more than all
    // that was accepted; it is less than 2^31 (`unix_outq_len` in net/unix/af_unix.c).
    match outq(fd) {
        Some(waiting) => (accepted + (1 << 31)).saturating_sub(waiting),
        None => accepted,
    }
}

/// It does, as any reset does.
pub(crate) const RESET_WAKES: bool = true;

/// Resets a connection at once. Of all calls on an open descriptor `connect` to no address does
/// (connect(2); `tcp_disconnect` in net/ipv4/tcp.c): it sends the reset and frees what is queued. With
/// `SO_LINGER` a reset is sent only at the close, and `shutdown` sends a FIN behind the queued data.
pub(in crate::watcher) fn reset(raw: Raw) {
    // SAFETY: as in `examine`.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    let disconnected = tcp_state(fd).is_some() && connect_unspec(fd).is_ok();
    if !disconnected {
        reset_at_close(fd);
    }
}

/// Reads `SO_ERROR`, which the kernel tells once.
fn take_error(fd: BorrowedFd<'_>) -> Option<Observation> {
    let errno = socket_error(fd).ok()?.err()?;
    let event = match errno {
        Errno::PIPE => Event::Reset { after_fin: true },
        Errno::CONNRESET => Event::Reset { after_fin: false },
        _ => Event::Failed(CloseReason::from(&io::Error::from(errno))),
    };
    Some(Observation {
        event: Some(event),
        error: Some(errno.raw_os_error()),
    })
}

/// The states of include/net/tcp_states.h that matter here.
mod tcp {
    pub(super) const FIN_WAIT1: u8 = 4;
    pub(super) const FIN_WAIT2: u8 = 5;
    pub(super) const TIME_WAIT: u8 = 6;
    pub(super) const CLOSE: u8 = 7;
    pub(super) const CLOSE_WAIT: u8 = 8;
    pub(super) const LAST_ACK: u8 = 9;
    pub(super) const CLOSING: u8 = 11;
}

/// The state of a TCP connection; `None` for any other socket.
fn tcp_state(fd: BorrowedFd<'_>) -> Option<u8> {
    // `tcpi_state` is the first byte of the structure, and the kernel writes no more than it is asked
    // for (`do_tcp_getsockopt` in net/ipv4/tcp.c).
    tcp_info::<1>(fd).map(|info| info[0])
}

/// The first `N` bytes of `TCP_INFO` (tcp(7)), which unlike `SO_ERROR` nobody consumes; `None` for a
/// socket that is not TCP, and where the kernel knows fewer.
fn tcp_info<const N: usize>(fd: BorrowedFd<'_>) -> Option<[u8; N]> {
    let mut info = [0_u8; N];
    let mut length = libc::socklen_t::try_from(N).ok()?;
    // SAFETY: the two pointers are to live bytes and to their number, and `fd` is open.
    let done = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    (done == 0 && usize::try_from(length) == Ok(N)).then_some(info)
}

/// How much TCP has been given to send, and how much of it the peer has not acknowledged.
///
/// `shut_down`: whether our shutdown is done, where the state does not say so any more.
pub(in crate::watcher) fn backlog(raw: Raw, shut_down: bool) -> Option<Backlog> {
    // SAFETY: as in `examine`.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    let mut before = acknowledged(fd)?;
    for _ in 0..8 {
        // Everything from the oldest byte that is not acknowledged on (`SIOCOUTQ`, tcp(7)).
        let unacknowledged = outq(fd)?;
        let now = acknowledged(fd)?;
        // The two numbers are of one moment if no acknowledgement came between.
        if before == now {
            let (state, acknowledged) = now;
            // A FIN takes a place behind the last byte (RFC 9293, section 3.4).
            let fin = match state {
                tcp::FIN_WAIT1 | tcp::FIN_WAIT2 | tcp::TIME_WAIT => 1,
                tcp::LAST_ACK | tcp::CLOSING => 1,
                tcp::CLOSE => u64::from(shut_down),
                _ => 0,
            };
            return Some(Backlog {
                written: (acknowledged + unacknowledged).checked_sub(fin)?,
                unacknowledged: unacknowledged.saturating_sub(fin),
            });
        }
        before = now;
    }
    None
}

/// The state, and `tcpi_bytes_acked`: at offset 120 of `struct tcp_info` (include/uapi/linux/tcp.h) since
/// Linux 4.1. Of a connection that we opened it counts the SYN too.
fn acknowledged(fd: BorrowedFd<'_>) -> Option<(u8, u64)> {
    let info = tcp_info::<128>(fd)?;
    Some((info[0], u64::from_ne_bytes(*info.last_chunk()?)))
}

/// `SIOCOUTQ`.
fn outq(fd: BorrowedFd<'_>) -> Option<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request takes a pointer to an int that it fills in, and `fd` is open.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    (done == 0).then(|| u64::try_from(bytes).ok())?
}
