//! Why an outbox did not deliver a message that it had accepted.

use super::give_up::GiveUpReason;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The outbox accepted a message and did not deliver it. The error gives the message back.
///
/// ```
/// use hangup::outbox::{Importance, Outbox, UndeliveredReason};
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
/// let importance = Importance::important_for(Duration::from_millis(20));
/// let error = outbox.send_with("door opened", importance).await?.await.unwrap_err();
/// assert_eq!(*error.reason(), UndeliveredReason::Expired);
/// assert_eq!(*error.message(), "door opened");
/// assert_eq!(error.to_string(), "message not delivered: its time ran out");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UndeliveredError<T> {
    message: T,
    reason: UndeliveredReason,
}

impl<T> UndeliveredError<T> {
    pub(crate) fn new(message: T, reason: UndeliveredReason) -> Self {
        Self { message, reason }
    }

    /// The message that was not delivered.
    ///
    /// ```
    /// # use hangup::outbox::Outbox;
    /// # use std::time::Duration;
    /// # use tokio::net::TcpStream;
    /// # use tokio_util::codec::LinesCodec;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
    /// let receipt = outbox.send("door opened").await?;
    /// outbox.shutdown(Duration::ZERO).await;
    /// assert_eq!(*receipt.await.unwrap_err().message(), "door opened");
    /// # Ok(())
    /// # }
    /// ```
    pub fn message(&self) -> &T {
        &self.message
    }

    /// Why the message was not delivered.
    ///
    /// ```
    /// # use hangup::outbox::{Outbox, UndeliveredReason};
    /// # use std::time::Duration;
    /// # use tokio::net::TcpStream;
    /// # use tokio_util::codec::LinesCodec;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
    /// let receipt = outbox.send("door opened").await?;
    /// outbox.shutdown(Duration::ZERO).await;
    /// match receipt.await.unwrap_err().reason() {
    ///     UndeliveredReason::ShutDown => {} // a durable outbox would deliver it after the next start
    ///     other => panic!("{other}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn reason(&self) -> &UndeliveredReason {
        &self.reason
    }

    /// Gives the message back.
    ///
    /// ```
    /// # use hangup::outbox::{Importance, Outbox};
    /// # use std::time::Duration;
    /// # use tokio::net::TcpStream;
    /// # use tokio_util::codec::LinesCodec;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
    /// # let importance = Importance::important_for(Duration::from_millis(20));
    /// # let receipt = outbox.send_with("door opened", importance).await?;
    /// if let Err(error) = receipt.await {
    ///     let message = error.into_message();
    ///     assert_eq!(message, "door opened"); // send it another way
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_message(self) -> T {
        self.message
    }
}

/// `Debug` does not print the message.
impl<T> fmt::Debug for UndeliveredError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndeliveredError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for UndeliveredError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message not delivered: {}", self.reason)
    }
}

impl<T> Error for UndeliveredError<T> {}

/// Why an outbox did not deliver a message.
///
/// Whether the message may have arrived, and whether the outbox may still deliver it:
///
/// | reason | may have arrived | the outbox tries again |
/// |---|---|---|
/// | `Expired`, `DecodeFailed` | no | no |
/// | `EncodeFailed` | only if an earlier attempt was written | no |
/// | `Unconfirmed`, `TooManyAttempts`, `Overflowed` | yes | no |
/// | `Rejected` | yes, and the peer refused it | no |
/// | `ShutDown` | yes | if it is durable, at the next start |
/// | `GaveUp` | yes | after [`Outbox::resume`](super::Outbox::resume) |
/// | `TaskGone` | yes | if it is durable, at the next start |
///
/// ```
/// use hangup::outbox::UndeliveredReason;
///
/// /// Whether a program that shows the outcome to a person has to add "perhaps".
/// fn is_certain(reason: &UndeliveredReason) -> bool {
///     matches!(
///         reason,
///         UndeliveredReason::Expired | UndeliveredReason::Rejected(_)
///     )
/// }
///
/// assert!(is_certain(&UndeliveredReason::Expired));
/// assert!(!is_certain(&UndeliveredReason::Unconfirmed));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UndeliveredReason {
    /// Its time ran out before it was written.
    Expired,
    /// It was written, and then the connection was lost or its time ran out before it was confirmed. It
    /// may or may not have arrived.
    Unconfirmed,
    /// The encoder returned this error for it, or panicked. See
    /// [`Unsendable`](super::Unsendable).
    EncodeFailed(Arc<str>),
    /// The message was only in the store of a durable outbox, and its record cannot be decoded:
    /// [`Record::from_bytes`](super::Record::from_bytes) returned this error, or panicked. See
    /// [`Unsendable`](super::Unsendable).
    DecodeFailed(Arc<str>),
    /// The peer refused it with these words, see [`Processed::Rejected`](super::Processed::Rejected).
    Rejected(Arc<str>),
    /// This many connections ended while it was the only unconfirmed message, see
    /// [`Builder::max_attempts`](super::Builder::max_attempts).
    TooManyAttempts(u32),
    /// The outbox was full, and dropped it as [`Builder::overflow`](super::Builder::overflow) says.
    Overflowed,
    /// The outbox was shut down before the message was confirmed. If it was written it may have arrived.
    ShutDown,
    /// The outbox gave up before the message was confirmed. If it was written it may have arrived, and
    /// [`Outbox::resume`](super::Outbox::resume) will send it again.
    GaveUp(GiveUpReason),
    /// The outbox's task has ended: its runtime was shut down, or the task panicked or was dropped.
    TaskGone,
}

impl fmt::Display for UndeliveredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("its time ran out"),
            Self::Unconfirmed => f.write_str("it was written and not confirmed in time"),
            Self::EncodeFailed(why) => write!(f, "the encoder failed: {why}"),
            Self::DecodeFailed(why) => write!(f, "its record cannot be decoded: {why}"),
            Self::Rejected(why) => write!(f, "the peer rejected it: {why}"),
            Self::TooManyAttempts(attempts) => {
                write!(f, "{attempts} connections ended while it was being sent")
            }
            Self::Overflowed => f.write_str("the outbox was full and dropped it"),
            Self::ShutDown => f.write_str("the outbox was shut down"),
            Self::GaveUp(why) => write!(f, "the outbox gave up: {why}"),
            Self::TaskGone => f.write_str("the outbox's task has ended"),
        }
    }
}
