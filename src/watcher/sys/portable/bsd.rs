//! macOS and the BSDs: the state of one socket, by kqueue(2).

#![allow(unsafe_code)]

use super::contract::{Observation, Raw};
use super::kqueue::{change, kevent};
use super::portable::ended::ended_without_error;
use crate::errors::CloseReason;
use crate::state::Event;
use rustix::event::kqueue::kqueue;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Asks the kernel about one socket, with a kqueue for this question alone.
pub(in crate::watcher) fn examine(raw: Raw) -> Observation {
    let filters = [libc::EVFILT_READ, libc::EVFILT_WRITE];
    let changes = filters.map(|filter| change(raw, filter as _, libc::EV_ADD as _, 0));
    let mut events = [const { MaybeUninit::uninit() }; 2];
    let Ok(kqueue) = kqueue() else {
        return Observation::default();
    };
    let Ok(happened) = kevent(kqueue.as_raw_fd(), &changes, &mut events) else {
        return Observation::default();
    };
    let ended = |filter: i64| {
        happened
            .iter()
            .find(|event| event.filter as i64 == filter && event.flags as i64 & EOF != 0)
    };
    let Some(input) = ended(libc::EVFILT_READ as i64) else {
        return Observation::default();
    };
    // kqueue reports the socket's error in `fflags`, and leaves it in the socket.
    let event = match input.fflags as i32 {
        0 if ended(libc::EVFILT_WRITE as i64).is_some() => {
            // SAFETY: the caller holds the socket's lock, under which the number is the open stream's.
            ended_without_error(unsafe { BorrowedFd::borrow_raw(raw) })
        }
        0 => Event::Fin,
        libc::ECONNRESET => Event::Reset { after_fin: false },
        code => Event::Failed(CloseReason::from(&io::Error::from_raw_os_error(code))),
    };
    event.into()
}

const EOF: i64 = libc::EV_EOF as i64;
