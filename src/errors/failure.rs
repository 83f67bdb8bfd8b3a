//! An error that closed a stream and has no named close reason.

use super::class::ErrorClass;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// An error that ended a stream and has no [`CloseReason`](crate::CloseReason) of its own.
///
/// It keeps the parts of the [`io::Error`] that can be compared, hashed and cloned. `Display` prints the
/// error's message.
///
/// ```
/// use hangup::CloseReason;
/// use hangup::errors::ErrorClass;
/// use std::io;
///
/// let error = io::Error::new(io::ErrorKind::StorageFull, "no room for the spool");
/// let CloseReason::Failed(failure) = CloseReason::from(&error) else { panic!() };
/// assert_eq!(failure.kind(), io::ErrorKind::StorageFull);
/// assert_eq!(failure.code(), None);
/// assert_eq!(failure.class(), ErrorClass::LocalResources);
/// assert_eq!(failure.to_string(), "no room for the spool");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Failure {
    /// Behind one pointer, because every stream has room for a [`CloseReason`](crate::CloseReason).
    parts: Arc<Parts>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Parts {
    kind: ErrorKind,
    code: Option<i32>,
    class: ErrorClass,
    message: Box<str>,
}

impl Failure {
    pub(super) fn new(error: &io::Error, class: ErrorClass) -> Self {
        let parts = Parts {
            kind: error.kind(),
            code: error.raw_os_error(),
            class,
            message: error.to_string().into(),
        };
        Self {
            parts: Arc::new(parts),
        }
    }

    /// The kind of the error.
    ///
    /// ```
    /// use hangup::CloseReason;
    /// use std::io::{Error, ErrorKind};
    ///
    /// let reason = CloseReason::from(&Error::from(ErrorKind::StorageFull));
    /// assert!(matches!(reason, CloseReason::Failed(failure) if failure.kind() == ErrorKind::StorageFull));
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.parts.kind
    }

    /// The operating system's code (`errno` on Unix), if the error had one.
    ///
    /// ```
    /// use hangup::CloseReason;
    /// use std::io;
    ///
    /// let CloseReason::Failed(failure) = CloseReason::from(&io::Error::from_raw_os_error(1)) else { panic!() };
    /// assert_eq!(failure.code(), Some(1));
    /// ```
    pub fn code(&self) -> Option<i32> {
        self.parts.code
    }

    /// What the error means for a sender.
    ///
    /// ```
    /// use hangup::CloseReason;
    /// use hangup::errors::ErrorClass;
    /// use std::io::{Error, ErrorKind};
    ///
    /// let denied = Error::from(ErrorKind::PermissionDenied);
    /// let CloseReason::Failed(failure) = CloseReason::from(&denied) else { panic!() };
    /// assert_eq!(failure.class(), ErrorClass::Permission);
    /// ```
    pub fn class(&self) -> ErrorClass {
        self.parts.class
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.message)
    }
}
