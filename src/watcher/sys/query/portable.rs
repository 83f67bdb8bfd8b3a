//! What systems other than Linux do not tell, and what is done in its place.

#![allow(unsafe_code)]

use super::super::contract::{Backlog, Raw};
use super::ended::{ended_without_error, reset_at_close};
use crate::state::Event;
use rustix::fd::BorrowedFd;

/// By what is accepted: how much of it has left is not known here.
pub(in crate::watcher) fn drained(_: Raw, accepted: u64) -> u64 {
    accepted
}

/// A reset that is sent at the close wakes nobody before it.
pub(crate) const RESET_WAKES: bool = false;

pub(in crate::watcher) fn reset(raw: Raw) {
    lend(raw, reset_at_close);
}

/// Not known here.
pub(in crate::watcher) fn backlog(_: Raw, _: bool) -> Option<Backlog> {
    None
}

/// A write finds a broken pipe when both directions are over: after a reset on TCP, after the peer's
/// close on others.
pub(in crate::watcher) fn broken_pipe(raw: Raw) -> Event {
    lend(raw, |fd| ended_without_error(fd))
}

/// Lends the socket to safe code.
pub(in crate::watcher) fn lend<T>(raw: Raw, user: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: the caller holds the socket's lock, under which the number is the open stream's, and `user`
    // must take any lifetime, so it cannot keep it.
    user(unsafe { BorrowedFd::borrow_raw(raw) })
}
