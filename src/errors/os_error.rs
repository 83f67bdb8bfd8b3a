//! A row of the tables: one error of an operating system.

use super::class::ErrorClass;
use std::fmt;

/// One error of an operating system: its code, its name and what it means.
///
/// ```
/// use hangup::errors::{ErrorClass, OsError, Platform};
///
/// let error = OsError::from_code(10061, Platform::Windows).unwrap();
/// assert_eq!(error.name(), "WSAECONNREFUSED");
/// assert_eq!(error.class(), ErrorClass::Disconnected);
/// assert_eq!(OsError::from_name("ECONNREFUSED", Platform::Windows), Some(error));
/// assert_eq!(OsError::from_name("ECONNREFUSED", Platform::Linux).unwrap().code(), 111);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OsError {
    code: i32,
    name: &'static str,
    class: ErrorClass,
}

/// A row of a table.
pub(super) const fn row(code: i32, name: &'static str, class: ErrorClass) -> OsError {
    OsError { code, name, class }
}

impl OsError {
    /// The code, as `raw_os_error` returns it. For a name look-up on Unix, the return value of `getaddrinfo`.
    ///
    /// ```
    /// use hangup::errors::{OsError, Platform};
    ///
    /// assert_eq!(OsError::from_name("EPIPE", Platform::Linux).unwrap().code(), 32);
    /// assert_eq!(OsError::from_name("EAI_AGAIN", Platform::Linux).unwrap().code(), -3);
    /// ```
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// The platform's own name: `ECONNRESET`, `WSAECONNRESET`, `EAI_AGAIN`.
    ///
    /// ```
    /// use hangup::errors::{OsError, Platform};
    ///
    /// assert_eq!(OsError::from_code(11, Platform::Linux).unwrap().name(), "EAGAIN");
    /// assert_eq!(OsError::from_code(10035, Platform::Windows).unwrap().name(), "WSAEWOULDBLOCK");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What the error means for a sender if nothing is known of the call that failed.
    ///
    /// ```
    /// use hangup::errors::{ErrorClass, OsError, Platform};
    ///
    /// let error = OsError::from_name("ENETDOWN", Platform::Linux).unwrap();
    /// assert_eq!(error.class(), ErrorClass::Network);
    /// ```
    pub const fn class(&self) -> ErrorClass {
        self.class
    }
}

/// The name and the code: `ECONNRESET (104)`.
impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.code)
    }
}
