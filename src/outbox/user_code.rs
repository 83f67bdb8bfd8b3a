//! Calls of the user's code: its panics become errors, so that they do not end the outbox.

use std::any::Any;
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `call`; a panic becomes an error that names `what`.
///
/// Unwind safe because the callers drop or renew whatever the call may have left half-made. With
/// `panic = "abort"` the process ends, as it does for any panic.
pub(crate) fn guard<R>(what: &str, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        Err(io::Error::other(format!(
            "hangup: {what} panicked: {}",
            message(&*panic)
        )))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => message,
        (None, Some(message)) => message,
        (None, None) => "the panic carried no message",
    }
}

/// The `io::Error` that a codec's error is, or is wrapped in.
pub(crate) fn io_error(error: Box<dyn Error + Send + Sync>) -> io::Error {
    match error.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(error) => io::Error::other(error),
    }
}
