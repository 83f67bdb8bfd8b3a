//! Messages that cannot be delivered.

#[cfg(feature = "durable")]
use bytes::Buf;
use bytes::Bytes;

/// A message that cannot be delivered, and the reason.
///
/// It stays in the store and is not delivered, until it is [removed](super::Store::remove_dead_letters). To read the
/// dead letters of a store that no outbox has open:
///
/// ```
/// # #[cfg(feature = "durable")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bytes::Bytes;
/// use hangup::outbox::{DiskStore, Fsync, Store};
///
/// # let directory = std::env::temp_dir().join(format!("hangup-dead-letter-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let mut store = DiskStore::open(directory.join("outbox"), Fsync::Each)?;
/// store.append(&[(7, Bytes::from("door 99 opened"))])?;
/// store.bury(7, "unknown door")?; // the outbox does this
///
/// let letters = store.dead_letters()?;
/// assert_eq!(letters[0].number(), 7);
/// assert_eq!(letters[0].reason(), "unknown door");
/// assert_eq!(letters[0].message(), "door 99 opened");
/// store.remove_dead_letters(&[7])?;
/// assert!(store.dead_letters()?.is_empty());
/// # drop(store);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "durable"))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    number: u64,
    reason: String,
    message: Bytes,
}

impl DeadLetter {
    /// Decodes a dead letter from the content of its frame.
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

    /// Creates a dead letter. For implementations of [`Store`](super::Store).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::DeadLetter;
    ///
    /// let letter = DeadLetter::new(7, "the encoder failed: too long".into(), Bytes::from("door opened"));
    /// assert_eq!(letter.reason(), "the encoder failed: too long");
    /// ```
    pub fn new(number: u64, reason: String, message: Bytes) -> Self {
        Self {
            number,
            reason,
            message,
        }
    }

    /// The number of the message.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::DeadLetter;
    ///
    /// let letters = [7, 9].map(|number| DeadLetter::new(number, "unknown door".into(), Bytes::new()));
    /// // To remove those that were looked at: `store.remove_dead_letters(&numbers)`.
    /// let numbers: Vec<u64> = letters.iter().map(DeadLetter::number).collect();
    /// assert_eq!(numbers, [7, 9]);
    /// ```
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Why the message cannot be delivered.
    ///
    /// It is the text of the [`UndeliveredReason`](crate::outbox::UndeliveredReason), or for a record that cannot be decoded
    /// the text of the decoder's error. It is kept as text, so it survives an update of the program.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::DeadLetter;
    ///
    /// let letter = DeadLetter::new(7, "the peer rejected it: unknown door".into(), Bytes::from("door 99 opened"));
    /// assert!(letter.reason().contains("unknown door"));
    /// ```
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The message as bytes, as [`Record::to_bytes`](super::Record::to_bytes) made them.
    ///
    /// To deliver a dead letter after all, turn it back into the message:
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{DeadLetter, Record};
    ///
    /// let letter = DeadLetter::new(7, "unknown door".into(), Bytes::from("door 99 opened"));
    /// let message = String::from_bytes(letter.message().clone()).unwrap();
    /// assert_eq!(message, "door 99 opened"); // send it with another outbox, and then remove the letter
    /// ```
    pub fn message(&self) -> &Bytes {
        &self.message
    }
}
