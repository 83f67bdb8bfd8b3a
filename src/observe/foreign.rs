//! Calls code that is not ours: wakers, subscribers, recorders.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls code that is not ours, and catches its panic. The panic hook has already reported it.
///
/// A panic that is not caught would end the watcher, and with it the detection for all its streams. It could also leave
/// the other wakers of a list asleep. In a drop during another panic it would abort the process.
pub(crate) fn call_foreign(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        discard(payload);
    }
}

/// Drops the payload of a panic. If that drop panics too, the second payload is leaked.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(second);
    }
}
