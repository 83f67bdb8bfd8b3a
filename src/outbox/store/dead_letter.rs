//! Messages that cannot be delivered.

#[cfg(feature = "durable")]
use bytes::Buf;
use bytes::Bytes;

/// A message that cannot be delivered, and why.
///
/// It stays in the store, and is not delivered, until it is
/// [removed](super::Store::remove_dead_letters).
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::DeadLetter;
///
/// let letter = DeadLetter::new(7, "the encoder failed: too long".into(), Bytes::from("door opened"));
/// assert_eq!(letter.number(), 7);
/// assert_eq!(letter.reason(), "the encoder failed: too long");
/// assert_eq!(letter.message(), "door opened");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    number: u64,
    reason: String,
    message: Bytes,
}

impl DeadLetter {
    /// Reads what a frame of a dead letter holds.
    #[cfg(feature = "durable")]
    pub(super) fn read(number: u64, mut letter: Bytes) -> Option<Self> {
        let length = letter.try_get_u32_le().ok()? as usize;
        if letter.len() < length {
            return None;
        }
        let reason = letter.split_to(length);
        Some(Self::new(
            number,
            String::from_utf8_lossy(&reason).into_owned(),
            letter,
        ))
    }

    /// Creates a dead letter: for implementations of [`Store`](super::Store).
    pub fn new(number: u64, reason: String, message: Bytes) -> Self {
        Self {
            number,
            reason,
            message,
        }
    }

    /// The number that the message had.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Why it cannot be delivered.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The message as bytes, as [`Record::to_bytes`](super::Record::to_bytes) made them.
    pub fn message(&self) -> &Bytes {
        &self.message
    }
}
