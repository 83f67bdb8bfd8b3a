//! The locks and atomics of the shared cell. All of them come from here, so that a model checker's can
//! take their place (`tests/loom.rs`).

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
