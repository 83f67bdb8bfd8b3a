//! The error of a response body.

use crate::errors::CloseReason;
use std::error::Error;
use std::io;

/// The error of this module's bodies: the error of the wrapped body, or an [`io::Error`] that carries the
/// [`CloseReason`].
pub type BodyError = Box<dyn Error + Send + Sync>;

/// The error of a body whose connection is over.
pub(super) fn body_error(reason: CloseReason) -> BodyError {
    io::Error::from(reason).into()
}
