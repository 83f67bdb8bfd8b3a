//! Work that waits until the core's lock is released.

use crate::observe::call_foreign;
use std::task::Waker;

/// Work for after the lock is released: messages to drop and tasks to wake. Both run the user's code, which may call
/// the outbox.
pub(crate) struct Deferred<T> {
    pub(crate) messages: Vec<T>,
    pub(crate) wakers: Vec<Waker>,
}

impl<T> Deferred<T> {
    pub(crate) fn new() -> Self {
        Self {
            messages: Vec::new(),
            wakers: Vec::new(),
        }
    }

    /// Does the work. The caller must not hold the lock. A small allocation is kept for the next use.
    #[inline]
    pub(crate) fn run(&mut self) {
        // Most sends defer nothing.
        if !self.wakers.is_empty() || self.messages.capacity() > 0 {
            self.run_all();
        }
    }

    fn run_all(&mut self) {
        for waker in self.wakers.drain(..) {
            // A waker is foreign code and may panic.
            call_foreign(|| waker.wake());
        }
        self.messages.clear();
        self.messages.shrink_to(1024);
    }
}
