//! The watcher: the one object per runtime that watches all sockets for hang-up.
//!
//! Nothing here reads, writes or waits for a single socket. One task per runtime waits for the
//! platform's selector, which names the sockets that have something to tell, and each of those is then
//! asked what it is.
//!
//! # What each platform provides
//!
//! * `Selector::new() -> io::Result<Selector>`: called within a runtime.
//! * `Selector::add(&self, Raw, u64) -> io::Result<()>`: watches a socket under a token. What has
//!   happened to it before counts too.
//! * `Selector::remove(&self, Raw)`: called once for each socket that was added, while it is open.
//! * `Selector::wait(&self, &mut Vec<u64>) -> io::Result<()>`: fills in the tokens of sockets that may
//!   have something to tell. Cancel safe.
//! * `examine(Raw) -> Sight`: asks the kernel about one socket.
//! * `broken_pipe(Raw) -> Event`: what a write's `EPIPE` means for this socket.
//! * `drained(Raw, u64) -> u64`: a number that grows by what the system gets rid of to the peer, given the
//!   accepted bytes.
//! * `reset(Raw)`: resets a connection, or has it reset when it is closed.
//! * `RESET_WAKES`: whether that wakes a read that waits for the socket.
//! * `backlog(Raw, bool) -> Option<Backlog>`: what the system has still to deliver, where it tells.
//! * `lend(Raw, impl FnOnce(BorrowedFd) -> T) -> T`: the descriptor in the form that safe calls take.
//!
//! # Invariants
//!
//! 3. A handle never keeps the socket open: a [`Socket`] knows its descriptor by number only, and the
//!    number is taken from it, under its lock, before the stream closes the descriptor. So no call is
//!    ever made on a number that has come to mean another file.
//! 4. The watcher never reads, writes or consumes. [`Socket::examine`] is the one place that reads
//!    `SO_ERROR`; what it reads it stores, and the stream's next read that would have told it does.

mod delivery;
mod registry;
mod socket;

#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
#[path = "epoll.rs"]
mod sys;

#[cfg(all(
    any(
        target_vendor = "apple",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
    ),
    target_pointer_width = "64", // a token is a kevent's `udata`, a pointer
    not(hangup_fallback)
))]
#[path = "kqueue.rs"]
mod sys;

#[cfg(any(
    not(any(
        target_os = "linux",
        target_os = "android",
        all(
            any(
                target_vendor = "apple",
                target_os = "dragonfly",
                target_os = "freebsd",
                target_os = "netbsd",
                target_os = "openbsd",
            ),
            target_pointer_width = "64"
        )
    )),
    hangup_fallback
))]
#[path = "fallback.rs"]
mod sys;

pub(crate) use registry::Registration;
pub(crate) use socket::Socket;

#[cfg(unix)]
pub(crate) use std::os::fd::{AsRawFd as Source, RawFd as Raw};
#[cfg(windows)]
pub(crate) use std::os::windows::io::{AsRawSocket as Source, RawSocket as Raw};

use crate::event::Event;
use std::io::{self, ErrorKind};

/// How many sockets one wait names at the most: between two batches the watcher's task lets others
/// run. 256 hang-ups take about half a millisecond to tell.
const BATCH: usize = 256;

/// What one look at a socket showed.
#[derive(Debug, Default)]
struct Sight {
    /// What happened to it, if anything did.
    event: Option<Event>,
    /// The socket's error, where the look took it out of the socket.
    error: Option<i32>,
}

/// What a socket has been given to send since it was made.
#[derive(Debug, Clone, Copy)]
struct Backlog {
    /// All of it, in bytes, or one more.
    written: u64,
    /// The last ones of them, those that the peer has not acknowledged.
    unacknowledged: u64,
}

impl From<Event> for Sight {
    fn from(event: Event) -> Self {
        Self {
            event: Some(event),
            error: None,
        }
    }
}

/// What names the socket under `source`, if it can be one's name.
fn raw(source: &impl Source) -> io::Result<Raw> {
    #[cfg(unix)]
    let (raw, valid) = (source.as_raw_fd(), source.as_raw_fd() >= 0);
    #[cfg(windows)]
    let (raw, valid) = (source.as_raw_socket(), source.as_raw_socket() != Raw::MAX);
    if valid {
        return Ok(raw);
    }
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        "hangup: cannot watch what has no open descriptor",
    ))
}

/// What it means that both directions of a socket are over and no error says why, where the system
/// does not tell more: a Unix peer's close, or the end of a TCP connection.
#[cfg_attr(
    all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)),
    expect(dead_code, reason = "on Linux TCP tells its state")
)]
fn ended_without_error(fd: rustix::fd::BorrowedFd<'_>) -> Event {
    match rustix::net::getsockname(fd) {
        Ok(address) if address.address_family() == rustix::net::AddressFamily::UNIX => {
            Event::HungUp
        }
        _ => Event::Vanished,
    }
}

/// Has the connection reset when it is closed, where the system has no earlier way; a Unix socket, which
/// knows no reset, is shut down.
fn reset_at_close(fd: rustix::fd::BorrowedFd<'_>) {
    use rustix::net;
    // An error means that the connection is over already.
    let _ = match net::getsockname(fd) {
        Ok(address) if address.address_family() == net::AddressFamily::UNIX => {
            net::shutdown(fd, net::Shutdown::Both)
        }
        _ => net::sockopt::set_socket_linger(fd, Some(std::time::Duration::ZERO)),
    };
}

/// Whether a read that waits for the socket is woken when we reset it.
pub(crate) const RESET_WAKES: bool = sys::RESET_WAKES;

/// An error of ours, in words that say what to do, of the kind and with the cause of `error`.
fn explain(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("hangup: {what}: {error}"))
}
