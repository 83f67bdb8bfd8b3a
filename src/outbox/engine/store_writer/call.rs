//! Calls of the user's store, which may panic.
//!
//! The store is taken out of `store` for each call and put back afterwards. After a panic it is dropped, and every
//! later call fails. The outbox continues without it: messages in memory are delivered, and new important ones are
//! refused.

use crate::outbox::store::Store;
use crate::outbox::user_code;
use std::io;

/// Calls the store. Fails if the store has panicked before.
pub(super) fn call<R>(
    store: &mut Option<Box<dyn Store>>,
    call: impl FnOnce(&mut dyn Store) -> io::Result<R>,
) -> io::Result<R> {
    let Some(mut inner) = store.take() else {
        return Err(io::Error::other("hangup: the store panicked earlier"));
    };
    let mut returned = false;
    let result = user_code::guard("the store", || {
        let result = call(&mut *inner);
        returned = true;
        result
    });
    if returned {
        *store = Some(inner);
    } else {
        // The destructor may panic as well.
        let _ = user_code::guard("the store", || {
            drop(inner);
            Ok(())
        });
    }
    result
}
