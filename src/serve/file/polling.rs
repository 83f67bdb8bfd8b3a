//! Which connection's response body hyper is polling, on this thread and right now.

use crate::serve::connection::ConnectionState;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

thread_local! {
    static POLLED: Cell<*const ConnectionState> = const { Cell::new(std::ptr::null()) };
}

/// While it lives, hyper polls the body of a response of a connection.
///
/// A body that is polled meanwhile is that response's body or a part of it, since hyper polls nothing else
/// there; and the head of the response was encoded before. A body that somebody else polls, a middleware that
/// collects it or another task, finds this not to be so.
pub(in crate::serve) struct Polling {
    before: *const ConnectionState,
    /// It is of this thread.
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
