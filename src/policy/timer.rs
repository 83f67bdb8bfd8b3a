//! The runtime's timer, for the few things that wait for time to pass.

use std::io::{self, ErrorKind};
use std::panic::catch_unwind;
use std::time::Duration;
use tokio::runtime::Handle;

/// The current runtime, if it has a timer, which `what` needs.
pub(crate) fn runtime(what: &str) -> io::Result<Handle> {
    let runtime = Handle::try_current().map_err(|error| {
        io::Error::new(
            ErrorKind::NotConnected,
            format!("hangup: {what} needs a runtime's timer: {error}"),
        )
    })?;
    // tokio has no other way to say that a runtime was built without timers than to panic.
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
