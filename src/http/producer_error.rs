//! The error of a producer whose items nobody receives.

use super::gone_reason::GoneReason;
use std::error::Error;
use std::fmt;

/// An item that was not sent, because nobody receives any more.
///
/// ```
/// use hangup::MonitoredStream;
/// use hangup::http::producer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let (mut producer, items) = producer(&stream.monitor(), 1);
/// drop(items);
/// let error = producer.send(7).await.unwrap_err();
/// assert_eq!(error.to_string(), "nobody receives any more: request cancelled");
/// assert_eq!(error.into_inner(), 7);
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ProducerError<T> {
    item: T,
    reason: GoneReason,
}

impl<T> ProducerError<T> {
    pub(super) fn new(item: T, reason: GoneReason) -> Self {
        Self { item, reason }
    }

    /// The item that was not sent.
    ///
    /// ```
    /// # use hangup::{MonitoredStream, http::producer};
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (mut producer, items) = producer(&stream.monitor(), 1);
    /// drop(items);
    /// let error = producer.blocking_send("token").unwrap_err();
    /// assert_eq!(error.into_inner(), "token");
    /// ```
    pub fn into_inner(self) -> T {
        self.item
    }

    /// Why nobody receives any more.
    ///
    /// ```
    /// # use hangup::{MonitoredStream, http::{GoneReason, producer}};
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (mut producer, items) = producer(&stream.monitor(), 1);
    /// drop(items);
    /// let error = producer.blocking_send("token").unwrap_err();
    /// assert_eq!(error.reason(), &GoneReason::Cancelled);
    /// ```
    pub fn reason(&self) -> &GoneReason {
        &self.reason
    }
}

impl<T> fmt::Debug for ProducerError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for ProducerError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nobody receives any more: {}", self.reason)
    }
}

impl<T> Error for ProducerError<T> {}
