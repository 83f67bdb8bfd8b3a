//! The error of a sink that ends with a stream.

use crate::errors::CloseReason;
use std::error::Error;
use std::fmt;
use std::io;

/// The error of an [`UntilClosed`](crate::UntilClosed) sink: the monitored stream closed, or the wrapped sink failed.
///
/// ```
/// use hangup::{CloseReason, SinkError};
/// use std::io;
///
/// let error: SinkError<io::Error> = SinkError::Closed(CloseReason::Reset);
/// assert_eq!(error.to_string(), "reset by peer");
/// assert_eq!(CloseReason::from(&io::Error::from(error)), CloseReason::Reset);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SinkError<E> {
    /// The monitored stream closed.
    Closed(CloseReason),
    /// The wrapped sink failed.
    Sink(E),
}

impl<E: fmt::Display> fmt::Display for SinkError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => reason.fmt(f),
            Self::Sink(error) => error.fmt(f),
        }
    }
}

impl<E: Error> Error for SinkError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Closed(reason) => reason.source(),
            Self::Sink(error) => error.source(),
        }
    }
}

impl<E: Into<Self>> From<SinkError<E>> for io::Error {
    fn from(error: SinkError<E>) -> Self {
        match error {
            SinkError::Closed(reason) => reason.into(),
            SinkError::Sink(error) => error.into(),
        }
    }
}
