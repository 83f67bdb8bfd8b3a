//! The locks and atomics of the shared cell. Other files import them from here, so that `tests/loom.rs` can replace
//! them by those of a model checker.

pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, Ordering},
};

/// Locks, whatever happened to an earlier holder: no critical section of ours leaves a half-made
/// change behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
