//! The connection whose response body hyper is polling on this thread.

use crate::serve::connection::ConnectionState;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

thread_local! {
    static POLLED: Cell<*const ConnectionState> = const { Cell::new(std::ptr::null()) };
}

/// Exists while hyper polls the body of a response.
///
/// hyper polls nothing else at that place, so a body that is polled meanwhile is the body of that response, or a part of
/// it, and the head of the response was encoded before. A body that is polled elsewhere, by a middleware that collects it
/// or in another task, finds no such guard.
pub(in crate::serve) struct Polling {
    before: *const ConnectionState,
    /// Makes the guard `!Send`: the cell belongs to this thread.
    _here: PhantomData<*const ()>,
}

impl Polling {
    pub(in crate::serve) fn by(connection: &Arc<ConnectionState>) -> Self {
        Self {
            before: POLLED.replace(Arc::as_ptr(connection)),
            _here: PhantomData,
        }
    }

    /// Whether it is a response of `connection` whose body is being polled.
    pub(super) fn is_of(connection: &Arc<ConnectionState>) -> bool {
        POLLED.get() == Arc::as_ptr(connection)
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        POLLED.set(self.before);
    }
}
