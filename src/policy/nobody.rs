//! Calls that do not wait.

use std::ptr;
use std::task::Waker;

/// The waker of a call that does not wait. A pending call, of whatever task, keeps its place.
pub(crate) static NOBODY: &Waker = Waker::noop();

/// Whether the call with this waker waits. [`NOBODY`] is told by its address: [`Waker::will_wake`] may not recognize it.
pub(crate) fn waits(waker: &Waker) -> bool {
    !ptr::eq(waker, NOBODY)
}
