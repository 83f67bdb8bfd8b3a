//! Why an outbox gave up.

use crate::errors::ErrorClass;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Why an outbox gave up: what can be cloned and compared of the last [`io::Error`].
///
/// [`Builder::give_up_on`](super::Builder::give_up_on),
/// [`Builder::give_up_after`](super::Builder::give_up_after) and a [back-off](super::Builder::backoff) that
/// ends decide when that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiveUpReason {
    class: ErrorClass,
    kind: io::ErrorKind,
    message: Arc<str>,
}

impl GiveUpReason {
    pub(crate) fn new(error: &io::Error) -> Self {
        Self {
            class: crate::errors::classify(error),
            kind: error.kind(),
            message: error.to_string().into(),
        }
    }

    /// The class of the last error.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The kind of the last error.
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }
}

impl fmt::Display for GiveUpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
