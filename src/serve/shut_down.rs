//! Where the stream of a connection goes when hyper is done with it.
//!
//! hyper owns the stream, and drops it after the last response. But a client that is still sending needs the socket for
//! longer, and hyper's error, which names the reason of the end, is to be reported before that.

use super::registry::Entry;
use crate::state::sync::{Mutex, lock};

/// A stream, and its entry in the registry, which lives as long as the socket.
pub(super) struct Open<T> {
    pub(super) stream: T,
    pub(super) _entry: Entry,
}

/// The stream of a connection after hyper has shut its own direction down.
pub(super) struct ShutDown<T> {
    open: Mutex<Option<Open<T>>>,
}

impl<T> Default for ShutDown<T> {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
        }
    }
}

impl<T> ShutDown<T> {
    pub(super) fn put(&self, open: Option<Open<T>>) {
        *lock(&self.open) = open;
    }

    /// `None`: hyper has not shut the stream down, or the program has it after an upgrade.
    pub(super) fn take(&self) -> Option<Open<T>> {
        lock(&self.open).take()
    }
}
