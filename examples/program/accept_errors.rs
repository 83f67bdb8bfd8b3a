//! Errors of accepting, which come ten times a second while the process is out of descriptors, say.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An error that has not come for so long is news again.
const GAP: Duration = Duration::from_secs(5);

/// A callback that prints an error when it first comes, and not while it repeats.
pub(crate) fn print_changes() -> impl Fn(&io::Error) + Send + Sync + 'static {
    let last: Mutex<Option<(Option<i32>, Instant)>> = Mutex::default();
    move |error| {
        let now = Instant::now();
        let this = (error.raw_os_error(), now);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let repeats = matches!(*last, Some((code, at)) if code == this.0 && now - at < GAP);
        *last = Some(this);
        if !repeats {
            note!("cannot accept connections, trying again: {error}");
        }
    }
}
