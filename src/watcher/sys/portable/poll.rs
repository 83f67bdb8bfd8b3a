//! All other systems: the state of one socket, by poll(2) and a peek.

#![allow(unsafe_code)]

use super::contract::{Observation, Raw};
use super::portable::ended::ended_without_error;
use crate::errors::CloseReason;
use crate::state::Event;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{RecvFlags, recv};
use std::io;

const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// The entry of one socket for poll(2).
pub(in crate::watcher) fn poll_fd<'a>(raw: Raw) -> PollFd<'a> {
    // SAFETY: the number is an open stream's: `remove` is called before it is closed, and both callers
    // hold a lock that `remove`, or its caller, takes.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    PollFd::from_borrowed_fd(fd, PollFlags::RDNORM)
}

/// Asks the system about one socket.
pub(in crate::watcher) fn examine(raw: Raw) -> Observation {
    let mut polled = [poll_fd(raw)];
    if !matches!(poll(&mut polled, Some(&NOW)), Ok(1..)) {
        return Observation::default();
    }
    let flags = polled[0].revents();
    // SAFETY: the caller holds the socket's lock, under which the number is the open stream's.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    if flags.contains(PollFlags::ERR) {
        if let Ok(Err(error)) = socket_error(fd) {
            return failed(error);
        }
    }
    if flags.contains(PollFlags::HUP) {
        return ended_without_error(fd).into();
    }
    if flags.contains(PollFlags::RDNORM) {
        match recv(fd, &mut [0_u8; 1], RecvFlags::PEEK) {
            Ok((_, 0)) => return Event::Fin.into(),
            Err(error) if error != Errno::WOULDBLOCK && error != Errno::INTR => {
                return failed(error);
            }
            _ => {}
        }
    }
    Observation::default()
}

/// The event for the error of a socket. The system will not report the error again.
fn failed(error: Errno) -> Observation {
    let error = io::Error::from(error);
    let event = match error.kind() {
        io::ErrorKind::ConnectionReset => Event::Reset { after_fin: false },
        // As on Linux.
        io::ErrorKind::BrokenPipe => Event::Reset { after_fin: true },
        _ => Event::Failed(CloseReason::from(&error)),
    };
    Observation {
        error: error.raw_os_error(),
        ..event.into()
    }
}
