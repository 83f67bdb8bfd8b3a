//! How a system tells: one file for each mechanism that notifies, and what is asked of a descriptor.
//!
//! May use `policy`, `state` and `errors`.
//!
//! Used by the rest of the watcher alone.
//!
//! # What each platform provides
//!
//! * `Notifier::new() -> io::Result<Notifier>`: called within a runtime.
//! * `Notifier::add(&self, Raw, u64) -> io::Result<()>`: watches a socket under a token. What has
//!   happened to it before counts too.
//! * `Notifier::remove(&self, Raw)`: called once for each socket that was added, while it is open.
//! * `Notifier::wait(&self, &mut Vec<u64>) -> io::Result<()>`: fills in the tokens of sockets that may
//!   have something to tell. Cancel safe.
//! * `examine(Raw) -> Observation`: asks the kernel about one socket.
//! * `broken_pipe(Raw) -> Event`: what a write's `EPIPE` means for this socket.
//! * `drained(Raw, u64) -> u64`: a number that grows by what the system gets rid of to the peer, given the
//!   accepted bytes.
//! * `reset(Raw)`: resets a connection, or has it reset when it is closed.
//! * `RESET_WAKES`: whether that wakes a read that waits for the socket.
//! * `backlog(Raw, bool) -> Option<Backlog>`: what the system has still to deliver, where it tells.
//! * `lend(Raw, impl FnOnce(BorrowedFd) -> T) -> T`: the descriptor in the form that safe calls take.
//

mod contract;
mod query;

cfg_if::cfg_if! {
    if #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))] {
        mod epoll;
        mod nested;
        pub(super) use epoll::Notifier;
    } else if #[cfg(all(
        any(
            target_vendor = "apple",
            target_os = "dragonfly",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
        ),
        target_pointer_width = "64", // a token is a kevent's `udata`, a pointer
        not(hangup_fallback)
    ))] {
        mod kqueue;
        mod nested;
        pub(super) use kqueue::Notifier;
    } else {
        mod tick;
        pub(super) use tick::Notifier;
    }
}

pub(crate) use contract::Source;
pub(super) use contract::{BATCH, Backlog, Observation, Raw, raw};
pub(crate) use query::RESET_WAKES;
pub(super) use query::{backlog, broken_pipe, drained, examine, lend, reset};
