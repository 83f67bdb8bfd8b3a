//! Systems other than Linux: one watched socket, and the answers where the system reports nothing.

#![allow(unsafe_code)]

use super::super::contract::{Backlog, Observation, Raw, explain};
use super::super::examine::examine;
use super::ended::{ended_without_error, reset_at_close};
use super::known::Known;
use crate::policy::Reading;
use crate::state::Event;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, getsockname, sockopt};
use std::io::{self, ErrorKind};
use std::time::Duration;

/// One watched socket.
#[derive(Debug, Clone, Copy)]
pub(in crate::watcher) struct Target {
    raw: Raw,
    /// A Unix socket: its peer is in the same kernel.
    is_local: bool,
}

impl Target {
    /// Determines the kind of `fd`. Refuses descriptors that never report the end of a peer.
    pub(in crate::watcher) fn new(fd: BorrowedFd<'_>, _: Known) -> io::Result<Self> {
        let address = getsockname(fd).map_err(|error| match error {
            Errno::NOTSOCK => io::Error::new(
                ErrorKind::InvalidInput,
                "hangup: cannot watch what is no socket: a file has no peer, and pipes are watched on Linux only; \
                 use `MonitoredStream::unwatched` or `with_signal`",
            ),
            _ => explain(
                &error.into(),
                "cannot watch this descriptor: it is closed, or a socket without an address",
            ),
        })?;
        match sockopt::socket_type(fd) {
            Ok(SocketType::STREAM | SocketType::SEQPACKET) => Ok(Self {
                raw: fd.as_raw_fd(),
                is_local: address.address_family() == AddressFamily::UNIX,
            }),
            _ => Err(io::Error::new(
                ErrorKind::InvalidInput,
                "hangup: cannot watch a datagram socket: it has no connection that could end; use a time limit \
                 of the protocol",
            )),
        }
    }

    pub(in crate::watcher) fn raw(self) -> Raw {
        self.raw
    }

    /// Always `false`, so that a descriptor is always removed from the notifier before its close.
    pub(in crate::watcher) fn is_exclusive(self) -> bool {
        false
    }

    pub(in crate::watcher) fn share(&mut self) {}

    /// Always `true`: this system offers no way to recognize a reused number.
    pub(in crate::watcher) fn is_same(self) -> bool {
        true
    }

    /// Whether the peer may be on another machine, and vanish without a FIN or a reset.
    pub(in crate::watcher) fn can_vanish(self) -> bool {
        !self.is_local
    }

    /// Asks the system about the state of the socket.
    pub(in crate::watcher) fn examine(self) -> Observation {
        examine(self.raw)
    }

    /// A write finds a broken pipe when both directions are over: after a reset on TCP, after the peer's close
    /// on others.
    pub(in crate::watcher) fn broken_pipe(self) -> Event {
        self.lend(ended_without_error)
    }

    /// Only Linux reports an error after another call was given it.
    pub(in crate::watcher) fn unexplained_end(self) -> Observation {
        Observation::default()
    }

    /// The accepted bytes. The system does not report how many of them have left.
    pub(in crate::watcher) fn drained(self, accepted: u64) -> u64 {
        accepted
    }

    /// The accepted bytes, as `drained`.
    pub(in crate::watcher) fn reading(self, accepted: u64) -> Reading {
        accepted.into()
    }

    pub(in crate::watcher) fn tells_acknowledged(self) -> bool {
        false
    }

    /// The system does not report it.
    pub(in crate::watcher) fn owed(self) -> Option<u64> {
        None
    }

    pub(in crate::watcher) fn tells_owed_bytes(self) -> bool {
        false
    }

    /// Not known here.
    pub(in crate::watcher) fn delivers(self) -> bool {
        false
    }

    /// Left to the system.
    pub(in crate::watcher) fn bound_orphan(self, _: Duration) {}

    /// Makes the system reset the connection when data stays unacknowledged for `within`.
    #[cfg(windows)]
    pub(in crate::watcher) fn limit_retransmission(self, within: Duration) {
        super::super::examine::limit_retransmission(self.raw, within);
    }

    /// Whether the system holds unread input.
    pub(in crate::watcher) fn has_unread(self) -> bool {
        self.lend(|fd| rustix::io::ioctl_fionread(fd).is_ok_and(|bytes| bytes > 0))
    }

    /// Not known here.
    pub(in crate::watcher) fn backlog(self, _: bool) -> Option<Backlog> {
        None
    }

    /// Shuts both directions down.
    pub(in crate::watcher) fn shut_down(self) {
        // An error means that the connection is over already.
        let _ = self.lend(|fd| rustix::net::shutdown(fd, rustix::net::Shutdown::Both));
    }

    /// Makes the close of the descriptor reset the connection.
    pub(in crate::watcher) fn reset(self) {
        self.lend(reset_at_close);
    }

    /// A reset that is sent at the close wakes nobody before it.
    pub(in crate::watcher) fn reset_wakes(self) -> bool {
        false
    }

    fn lend<T>(self, user: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        // SAFETY: the caller holds the socket's lock, under which the number is the open stream's, and `user`
        // must take any lifetime, so it cannot keep it.
        user(unsafe { BorrowedFd::borrow_raw(self.raw) })
    }
}
