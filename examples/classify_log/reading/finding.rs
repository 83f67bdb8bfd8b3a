//! The error that a line reports.

use hangup::errors::{ErrorClass, OsError, Platform};
use std::fmt;

/// The error that a line reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What it means.
    pub(crate) class: ErrorClass,
    /// The operating system's error, if the line names one.
    pub(crate) error: Option<OsError>,
}

impl Finding {
    /// `error` as `platform` has it. If it has none of that name and class, only the class is known.
    pub(crate) fn of(error: OsError, platform: Platform) -> Self {
        match OsError::from_name(error.name(), platform) {
            Some(own) if own.class() == error.class() => own.into(),
            _ => error.class().into(),
        }
    }
}

impl From<OsError> for Finding {
    fn from(error: OsError) -> Self {
        Self {
            class: error.class(),
            error: Some(error),
        }
    }
}

impl From<ErrorClass> for Finding {
    fn from(class: ErrorClass) -> Self {
        Self { class, error: None }
    }
}

/// The class, the error's name if there is one, and the advice.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.class)?;
        if let Some(error) = self.error {
            write!(f, ", {}", error.name())?;
        }
        write!(f, ": {}", self.class.advice())
    }
}
