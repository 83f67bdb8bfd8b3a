//! Checks that the current runtime has a timer.

use std::io::{self, ErrorKind};
use std::panic::catch_unwind;
use std::time::Duration;
use tokio::runtime::Handle;

/// The current runtime, which must have a timer. `what` names the feature that needs it, for the error message.
///
/// # Errors
///
/// * [`NotConnected`](ErrorKind::NotConnected): there is no current runtime;
/// * [`Unsupported`](ErrorKind::Unsupported): the runtime was built without a timer.
pub(crate) fn runtime(what: &str) -> io::Result<Handle> {
    let runtime = Handle::try_current().map_err(|error| {
        io::Error::new(
            ErrorKind::NotConnected,
            format!("hangup: {what} needs a runtime's timer: {error}"),
        )
    })?;
    // tokio reports a runtime without timers only by a panic.
    catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).map_err(|_| {
        io::Error::new(
            ErrorKind::Unsupported,
            format!(
                "hangup: this runtime has no timer for {what}: build it with `enable_time()` or \
                 `enable_all()`"
            ),
        )
    })?;
    Ok(runtime)
}
