//! A descriptor that another library owns: it is borrowed for the registration, and may be closed at any time after it.
//!
//! A duplicate would delay the owner's close, and its FIN, until we close the duplicate. So an epoll of its own holds the
//! file. An epoll entry belongs to the open file description and does not keep it open: the kernel removes the entry when
//! the last descriptor of the file is closed (epoll(7)). We never remove it by its number, which may name another file by
//! then: closing the epoll removes it.
//!
//! The entry is level-triggered, so that epoll_wait(2) on this epoll returns the state of exactly that file, at any time
//! and without the number. It asks only for `EPOLLRDHUP`, and the watcher's epoll holds this one: data wakes nobody.
//!
//! `SO_ERROR` belongs to the owner: the kernel reports it once, and the owner's next read must get it. `POLLERR` only says
//! that there is an error, and not which one.
//!
//! The number is used for two questions that change nothing: `TCP_INFO`, which refines the flags, and the inode. An
//! answer counts only if the number names the registered file afterwards. A file that is closed is never named again.

use super::super::contract::{Observation, explain};
use super::descriptor::Descriptor;
use super::kind::Kind;
use super::tcp;
use crate::state::Event;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::io;

/// An epoll that holds the file of `fd` and nothing else.
pub(super) fn hold(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(|error| {
        explain(
            &error.into(),
            "cannot create the epoll of a borrowed descriptor",
        )
    })?;
    epoll::add(&epoll, fd, EventData::new_u64(0), EventFlags::RDHUP).map_err(|error| {
        let why = match error {
            Errno::NOSPC => "the limit of /proc/sys/fs/epoll/max_user_watches is reached",
            _ => "epoll refuses it",
        };
        let what = format!("cannot watch a borrowed descriptor: {why}");
        explain(&error.into(), &what)
    })?;
    Ok(epoll)
}

/// `epoll`: the one of [`hold`].
pub(super) fn examine(descriptor: Descriptor, epoll: RawFd, kind: Kind) -> Observation {
    let flags = Descriptor::poll_held(epoll);
    if flags == 0 {
        return match descriptor.is_same() {
            true => Observation::default(),
            // The entry, and its file, are gone.
            false => Event::Dropped.into(),
        };
    }
    let event = match kind {
        Kind::Tcp { control_bytes } => match of_tcp(descriptor, flags, control_bytes) {
            Some(known) => known,
            None => of_flags(flags, Event::Vanished),
        },
        Kind::Mptcp | Kind::Socket => of_flags(flags, Event::Vanished),
        Kind::Unix => of_flags(flags, Event::HungUp),
        // A writer learns of the end of the last reader by POLLERR (poll(2)).
        Kind::Pipe => Some(Event::HungUp),
    };
    Observation {
        event,
        ..Observation::default()
    }
}

/// The event for the state of the connection; `None` if the state is not known.
fn of_tcp(
    descriptor: Descriptor,
    flags: libc::c_short,
    before: Option<u8>,
) -> Option<Option<Event>> {
    let event = match tcp::state(descriptor)? {
        // The error is the owner's.
        tcp::CLOSE if flags & libc::POLLERR != 0 => Some(Event::Vanished),
        tcp::CLOSE => match tcp::is_fin_acknowledged(descriptor, before) {
            Some(true) => Some(Event::BothFinished),
            Some(false) | None => Some(Event::Vanished),
        },
        tcp::CLOSE_WAIT | tcp::LAST_ACK => Some(Event::Fin),
        tcp::CLOSING | tcp::TIME_WAIT => Some(Event::BothFinished),
        // The owner's shutdown of its receiving side, and the error queue, raise flags on a healthy connection.
        _ => None,
    };
    descriptor.is_same().then_some(event)
}

/// `both`: what the end of both directions without an error means.
fn of_flags(flags: libc::c_short, both: Event) -> Option<Event> {
    match (flags & libc::POLLERR != 0, flags & libc::POLLHUP != 0) {
        (true, true) => Some(Event::Vanished),
        (false, true) => Some(both),
        _ if flags & libc::POLLRDHUP != 0 => Some(Event::Fin),
        // The error queue alone ends nothing.
        _ => None,
    }
}
