//! Windows: the state of one socket, by Winsock.
//!
//! `WSAPoll` reports a FIN as `POLLHUP`, and a reset or a timeout as `POLLERR` with `POLLHUP`. Windows has no `SO_ERROR`
//! for these. A peek at the input returns the error.
//!
//! A reset after a FIN cannot be distinguished from any other reset.

#![allow(unsafe_code)]

use super::contract::{Observation, Raw};
use crate::errors::CloseReason;
use crate::state::Event;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{RecvFlags, recv};
use std::io;
use std::time::Duration;
use windows_sys::Win32::Networking::WinSock::{IPPROTO_TCP, TCP_MAXRT, setsockopt};

const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Lends a socket by its number.
pub(in crate::watcher) fn borrow<'a>(raw: Raw) -> BorrowedFd<'a> {
    // SAFETY: the number came from a `BorrowedFd`, so it is not the reserved one (`INVALID_SOCKET`). The callers
    // use the result under a lock that a removal takes before the stream closes the socket. Safe code can close the
    // socket behind the stream's back; then winsock answers WSAENOTSOCK, or for another socket that has
    // got the number. Either is an answer to a question: no memory depends on it.
    unsafe { BorrowedFd::borrow_raw(raw) }
}

/// What to ask `WSAPoll` for one socket.
pub(in crate::watcher) fn poll_fd<'a>(raw: Raw) -> PollFd<'a> {
    PollFd::from_borrowed_fd(borrow(raw), PollFlags::RDNORM)
}

/// Asks winsock about one socket.
pub(in crate::watcher) fn examine(raw: Raw) -> Observation {
    let mut polled = [poll_fd(raw)];
    if !matches!(poll(&mut polled, Some(&NOW)), Ok(1..)) {
        return Observation::default();
    }
    let flags = polled[0].revents();
    let fd = borrow(raw);
    let is_failed = flags.contains(PollFlags::ERR);
    if is_failed && let Ok(Err(error)) = socket_error(fd) {
        return failed(error);
    }
    if !is_failed && !flags.contains(PollFlags::HUP) {
        return Observation::default();
    }
    match recv(fd, &mut [0_u8; 1], RecvFlags::PEEK) {
        // Our own end of reading is in the way.
        Err(Errno::SHUTDOWN) if !is_failed => Event::Fin.into(),
        Err(error) if !matches!(error, Errno::WOULDBLOCK | Errno::INTR | Errno::SHUTDOWN) => {
            failed(error)
        }
        _ if is_failed => failed(Errno::CONNRESET),
        _ => Event::Fin.into(),
    }
}

/// Sets `TCP_MAXRT`, in whole seconds. Windows has it since Vista, and Wine 8 does not; keepalive is left then.
pub(super) fn limit_retransmission(raw: Raw, within: Duration) {
    let seconds = u32::try_from(within.as_secs()).unwrap_or(u32::MAX >> 1);
    let value = (&raw const seconds).cast();
    // SAFETY: the pointer is to a live number of that length. Winsock checks the socket's number.
    unsafe {
        setsockopt(
            raw as usize,
            IPPROTO_TCP,
            TCP_MAXRT,
            value,
            size_of::<u32>() as i32,
        )
    };
}

/// The event for the error of a socket. The system may not report the error again.
fn failed(error: Errno) -> Observation {
    let error = io::Error::from(error);
    let event = match error.kind() {
        io::ErrorKind::ConnectionReset => Event::Reset { after_fin: false },
        _ => Event::Failed(CloseReason::from(&error)),
    };
    Observation {
        error: error.raw_os_error(),
        ..event.into()
    }
}
