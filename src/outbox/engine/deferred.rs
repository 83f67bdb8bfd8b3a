//! Work that waits until the core's lock is released.

use crate::observe::call_foreign;
use std::task::Waker;

/// Work for after the lock is released: messages to drop and tasks to wake. Both run the user's code, which may call
/// the outbox.
pub(crate) struct Deferred<T> {
    /// `None` until something is deferred. Most sends defer nothing, and then they neither make nor drop the lists.
    lists: Option<Lists<T>>,
}

/// What is deferred.
pub(crate) struct Lists<T> {
    pub(crate) messages: Vec<T>,
    pub(crate) wakers: Vec<Waker>,
}

impl<T> Deferred<T> {
    pub(crate) fn new() -> Self {
        Self { lists: None }
    }

    pub(crate) fn lists(&mut self) -> &mut Lists<T> {
        self.lists.get_or_insert_with(|| Lists {
            messages: Vec::new(),
            wakers: Vec::new(),
        })
    }

    /// The messages to drop.
    pub(crate) fn messages(&mut self) -> &mut Vec<T> {
        &mut self.lists().messages
    }

    /// The tasks to wake.
    pub(crate) fn wakers(&mut self) -> &mut Vec<Waker> {
        &mut self.lists().wakers
    }

    /// Does the work. The caller must not hold the lock. A small allocation is kept for the next use.
    #[inline]
    pub(crate) fn run(&mut self) {
        if let Some(lists) = &mut self.lists {
            lists.run();
        }
    }
}

/// Wakes a task. Its waker is foreign code and may panic.
#[inline]
pub(super) fn wake(waker: Waker) {
    call_foreign(|| waker.wake());
}

impl<T> Lists<T> {
    fn run(&mut self) {
        self.wakers.drain(..).for_each(wake);
        self.messages.clear();
        self.messages.shrink_to(1024);
    }
}
