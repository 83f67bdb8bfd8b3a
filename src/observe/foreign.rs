//! Code that is not ours: wakers, subscribers, recorders.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls code that is not ours, and stops its panic, which the panic hook has reported.
///
/// A panic that went on would end the watcher and everything that it watches, or leave the rest of a list
/// of wakers asleep; within a drop that unwinds already it would abort the process.
pub(crate) fn call_foreign(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        discard(payload);
    }
}

/// Drops what a panic carries. That drop may panic too; what the second panic carries is leaked.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(second);
    }
}
