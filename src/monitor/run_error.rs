//! The error of work that stops when a stream closes.

use crate::errors::CloseReason;
use std::error::Error;
use std::fmt;
use std::io;

/// The error of [`Monitor::run_io`](crate::Monitor::run_io): the stream closed, or the work itself failed.
///
/// `Display` and `source` are those of the error inside. Converted into an [`io::Error`], it carries the
/// [`CloseReason`], or it is the error of the work.
///
/// ```
/// use hangup::{CloseReason, RunError};
/// use std::io;
///
/// let error: RunError = RunError::Closed(CloseReason::Reset);
/// assert_eq!(error.close_reason(), Some(&CloseReason::Reset));
/// // With `?`: the `io::Error` carries the reason.
/// assert_eq!(CloseReason::from(&io::Error::from(error)), CloseReason::Reset);
/// ```
///
/// To tell the two apart, for a response that is only worth an error message while its client is there:
///
/// ```
/// use hangup::{MonitoredStream, RunError};
/// use std::io::{self, ErrorKind};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (ours, client) = tokio::io::duplex(64);
/// let stream = MonitoredStream::unwatched(ours);
/// let monitor = stream.monitor();
/// let read = monitor.run_io(async { Err::<(), io::Error>(ErrorKind::NotFound.into()) }).await;
/// assert!(matches!(read, Err(RunError::Failed(error)) if error.kind() == ErrorKind::NotFound));
///
/// drop(stream);
/// let read = monitor.run_io(std::future::pending::<io::Result<()>>()).await;
/// assert!(matches!(read, Err(RunError::Closed(_))));
/// # drop(client);
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is no third way to end without a result"
)]
pub enum RunError<E = io::Error> {
    /// The stream closed. The work's own error, if there was one, is dropped: it says the same or less.
    Closed(CloseReason),
    /// The work failed, and not because of this stream.
    Failed(E),
}

impl<E> RunError<E> {
    /// Why the stream closed, if the close ended the work.
    ///
    /// ```
    /// use hangup::RunError;
    /// use std::io;
    ///
    /// let error = RunError::Failed(io::Error::from(io::ErrorKind::NotFound));
    /// assert_eq!(error.close_reason(), None);
    /// ```
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match self {
            Self::Closed(reason) => Some(reason),
            Self::Failed(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => reason.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: Error> Error for RunError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Closed(reason) => reason.source(),
            Self::Failed(error) => error.source(),
        }
    }
}

impl<E: Into<Self>> From<RunError<E>> for io::Error {
    fn from(error: RunError<E>) -> Self {
        match error {
            RunError::Closed(reason) => reason.into(),
            RunError::Failed(error) => error.into(),
        }
    }
}
