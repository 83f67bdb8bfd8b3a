//! Putting two halves together again.

use super::owned_read_half::OwnedReadHalf;
use super::owned_write_half::OwnedWriteHalf;
use crate::stream::monitored_stream::MonitoredStream;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

impl<S> OwnedReadHalf<S> {
    /// Puts the two halves together again. Nothing is shut down.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`], with both halves, if they belong to different streams.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (reader, writer) = MonitoredStream::unwatched(tokio::io::duplex(64).0).into_split();
    /// let (_, other) = MonitoredStream::unwatched(tokio::io::duplex(64).0).into_split();
    /// let (reader, _) = reader.reunite(other).unwrap_err().into_halves();
    /// let stream = reader.reunite(writer).unwrap();
    /// assert!(!stream.is_closed());
    /// # }
    /// ```
    pub fn reunite(self, other: OwnedWriteHalf<S>) -> Result<MonitoredStream<S>, ReuniteError<S>> {
        if !Arc::ptr_eq(&self.cell, other.cell()) {
            return Err(ReuniteError::new(self, other));
        }
        other.forget();
        let cell = Arc::into_inner(self.cell);
        let cell = cell.unwrap_or_else(|| unreachable!("there are two halves, and both are here"));
        Ok(cell.into_inner())
    }
}

/// The error of [`OwnedReadHalf::reunite`]: the halves belong to different streams. It contains both.
///
/// ```
/// use hangup::MonitoredStream;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (reader, writer) = MonitoredStream::unwatched(tokio::io::duplex(64).0).into_split();
/// let (_, other) = MonitoredStream::unwatched(tokio::io::duplex(64).0).into_split();
/// let error = reader.reunite(other).unwrap_err();
/// assert_eq!(error.to_string(), "the two halves belong to different streams");
/// // Nothing is lost: the right half still fits.
/// let (reader, _other) = error.into_halves();
/// assert!(reader.reunite(writer).is_ok());
/// # }
/// ```
pub struct ReuniteError<S> {
    reader: OwnedReadHalf<S>,
    writer: OwnedWriteHalf<S>,
}

impl<S> ReuniteError<S> {
    pub(super) fn new(reader: OwnedReadHalf<S>, writer: OwnedWriteHalf<S>) -> Self {
        Self { reader, writer }
    }

    /// The two halves.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (reader, _writer) = MonitoredStream::unwatched(tokio::io::duplex(64).0).into_split();
    /// let (_, other) = MonitoredStream::unwatched(tokio::io::duplex(64).0).into_split();
    /// let (reader, other) = reader.reunite(other).unwrap_err().into_halves();
    /// assert!(!reader.monitor().is_closed());
    /// # drop(other);
    /// # }
    /// ```
    pub fn into_halves(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        (self.reader, self.writer)
    }
}

impl<S> fmt::Debug for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl<S> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves belong to different streams")
    }
}

impl<S> Error for ReuniteError<S> {}
