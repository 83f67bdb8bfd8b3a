//! The error of a response body.

use crate::errors::CloseReason;
use std::error::Error;
use std::io;

/// The error of this module's bodies: the error of the wrapped body, or an [`io::Error`] that carries the
/// [`CloseReason`].
///
/// ```
/// use hangup::http::BodyError;
/// use hangup::{CloseReason, MonitoredStream, UntilClosedExt};
/// use http_body_util::{BodyExt, Full};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let body = Full::new(&b"answer"[..]).until_closed(&stream.monitor());
/// drop(stream);
/// let error: BodyError = body.collect().await.unwrap_err();
/// assert_eq!(CloseReason::find(&*error), Some(CloseReason::Dropped));
/// # }
/// ```
pub type BodyError = Box<dyn Error + Send + Sync>;

/// The error of a body whose connection is over.
pub(super) fn body_error(reason: CloseReason) -> BodyError {
    io::Error::from(reason).into()
}
