//! Why a message was not taken, or not delivered.

use crate::errors::ErrorClass;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// A message that the outbox did not take, and why not. It gives the message back.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendError<T> {
    /// The message.
    pub message: T,
    /// Why it was not taken.
    pub refusal: Refusal,
}

/// Why an outbox did not take a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no room now ([`try_send`](super::Outbox::try_send) only).
    Full,
    /// It is larger than the capacity: there never will be room.
    TooLarge,
    /// The outbox is being shut down, or has been.
    ShutDown,
    /// The outbox has given up.
    GaveUp(GaveUp),
    /// The outbox's task is gone: its runtime was shut down, or the task panicked or was dropped.
    TaskGone,
    /// The store of a [durable](super::Builder::durable) outbox did not keep it. The outbox goes on.
    NotKept(NotKept),
    /// [`try_send`](super::Outbox::try_send) cannot wait until a durable outbox has kept an important
    /// message: [`send`](super::Outbox::send) can.
    MustWait,
}

/// Why the store of a durable outbox did not keep a message.
///
/// It holds what can be compared and cloned of the [`io::Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotKept {
    kind: io::ErrorKind,
    message: Arc<str>,
}

impl NotKept {
    pub(crate) fn new(error: &io::Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string().into(),
        }
    }

    /// The kind of the error: [`StorageFull`](io::ErrorKind::StorageFull) if the disk is full.
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for NotKept {}

/// A message that the outbox took and could not deliver, and why not. It gives the message back.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undelivered<T> {
    /// The message.
    pub message: T,
    /// Why it was not delivered.
    pub reason: Reason,
}

/// Why an outbox did not deliver a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Its time was over before it was written ([best effort](super::Importance::BestEffort) only).
    Expired,
    /// It was written, and the connection was lost before it was confirmed
    /// ([best effort](super::Importance::BestEffort) only): it may or may not have arrived.
    Unconfirmed,
    /// The encoder refused it, with this message.
    Refused(Arc<str>),
    /// The outbox was shut down before it was confirmed: it may have arrived if it was written.
    ShutDown,
    /// The outbox gave up before it was confirmed: it may have arrived if it was written.
    GaveUp(GaveUp),
    /// The outbox's task is gone: its runtime was shut down, or the task panicked or was dropped.
    TaskGone,
}

/// Why an outbox gave up: an error that no new connection mends, or a back-off that came to its end.
///
/// It holds what can be compared and cloned of the [`io::Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaveUp {
    class: ErrorClass,
    kind: io::ErrorKind,
    message: Arc<str>,
}

impl GaveUp {
    pub(crate) fn new(class: ErrorClass, error: &io::Error) -> Self {
        Self {
            class,
            kind: error.kind(),
            message: error.to_string().into(),
        }
    }

    /// What the error means.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The kind of the error.
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for GaveUp {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the outbox is full"),
            Self::TooLarge => f.write_str("the message is larger than the outbox"),
            Self::ShutDown => f.write_str("the outbox is shut down"),
            Self::GaveUp(why) => write!(f, "the outbox gave up: {why}"),
            Self::TaskGone => f.write_str("the outbox's task is gone"),
            Self::NotKept(why) => write!(f, "not kept: {why}"),
            Self::MustWait => f.write_str("a durable outbox keeps it first: wait with `send`"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("its time was over"),
            Self::Unconfirmed => f.write_str("the connection was lost before it was confirmed"),
            Self::Refused(message) => write!(f, "the encoder refused it: {message}"),
            Self::ShutDown => f.write_str("the outbox was shut down"),
            Self::GaveUp(why) => write!(f, "the outbox gave up: {why}"),
            Self::TaskGone => f.write_str("the outbox's task is gone"),
        }
    }
}

/// Without the message.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("refusal", &self.refusal)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not taken: {}", self.refusal)
    }
}

impl<T> Error for SendError<T> {}

/// Without the message.
impl<T> fmt::Debug for Undelivered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Undelivered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not delivered: {}", self.reason)
    }
}

impl<T> Error for Undelivered<T> {}

/// The `io::Error` that a codec's error is, or is put into.
pub(crate) fn io_error(error: Box<dyn Error + Send + Sync>) -> io::Error {
    match error.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(error) => io::Error::other(error),
    }
}
