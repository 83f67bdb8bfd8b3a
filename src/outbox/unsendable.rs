//! Messages that cannot be sent.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// A message that an outbox set aside, because it would block all messages behind it.
///
/// [`Builder::on_unsendable`](super::Builder::on_unsendable) receives it. In a
/// [durable](super::Builder::durable) outbox it becomes a [`DeadLetter`](super::DeadLetter) of the store, unless
/// the handler returns [`UnsendableAction::Discard`]. A store without dead letters keeps it as it was, and the
/// next outbox on that store tries it again.
///
/// ```
/// use hangup::outbox::{Outbox, UnsendableAction, UnsendableReason};
/// use std::sync::mpsc;
/// use tokio::net::{TcpListener, TcpStream};
/// use tokio_util::bytes::BytesMut;
/// use tokio_util::codec::Encoder;
///
/// /// Lines of at most 20 bytes.
/// struct Short;
///
/// impl Encoder<String> for Short {
///     type Error = std::io::Error;
///
///     fn encode(&mut self, line: String, bytes: &mut BytesMut) -> std::io::Result<()> {
///         if line.len() > 20 {
///             return Err(std::io::Error::other("the line is too long"));
///         }
///         bytes.extend_from_slice(line.as_bytes());
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let (set_aside, letters) = mpsc::channel();
/// let outbox = Outbox::builder(move || TcpStream::connect(address), || Short)
///     .on_unsendable(move |letter| {
///         let _ = set_aside.send(letter);
///         UnsendableAction::Keep
///     })
///     .spawn()?;
/// let receipt = outbox.send("a line that is longer than that".to_owned()).await?;
/// assert!(receipt.await.is_err());
///
/// let letter = letters.recv()?;
/// assert_eq!(letter.number(), 0);
/// assert_eq!(letter.message().map(String::len), Some(31));
/// assert_eq!(letter.bytes(), None); // a record of a store that cannot be decoded has these
/// assert!(matches!(letter.reason(), UnsendableReason::EncodeFailed(_)));
/// assert_eq!(outbox.status().unsendable, 1);
/// # Ok(())
/// # }
/// ```
pub struct Unsendable<T> {
    pub(crate) number: u64,
    pub(crate) message: Option<T>,
    pub(crate) bytes: Option<Bytes>,
    pub(crate) reason: UnsendableReason,
}

impl<T> Unsendable<T> {
    /// The number of the message in the outbox and in its store. A [`DeadLetter`](super::DeadLetter) has the same one.
    ///
    /// ```
    /// use hangup::outbox::{Unsendable, UnsendableAction};
    /// use std::collections::BTreeSet;
    /// use std::sync::{Arc, Mutex};
    ///
    /// // The numbers of what was set aside, for a later look into the store.
    /// let set_aside = Arc::new(Mutex::new(BTreeSet::new()));
    /// let numbers = set_aside.clone();
    /// let handler = move |letter: Unsendable<String>| {
    ///     numbers.lock().unwrap().insert(letter.number());
    ///     UnsendableAction::Keep
    /// };
    /// # use hangup::outbox::Outbox;
    /// # let connect = || tokio::net::TcpStream::connect("127.0.0.1:9");
    /// # let builder = Outbox::builder(connect, tokio_util::codec::LinesCodec::new);
    /// let builder = builder.on_unsendable(handler);
    /// # drop(builder);
    /// assert!(set_aside.lock().unwrap().is_empty());
    /// ```
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The message; `None` if its record could not be decoded.
    ///
    /// ```
    /// use hangup::outbox::Unsendable;
    ///
    /// /// For a log that must not have the message itself.
    /// fn describe(letter: &Unsendable<String>) -> String {
    ///     let length = match letter.message() {
    ///         Some(text) => text.len(),
    ///         None => letter.bytes().map_or(0, |record| record.len()),
    ///     };
    ///     format!("message {}, {length} bytes: {}", letter.number(), letter.reason())
    /// }
    /// # let _ = describe;
    /// ```
    pub fn message(&self) -> Option<&T> {
        self.message.as_ref()
    }

    /// The record of the store, if it could not be decoded; otherwise `None`.
    ///
    /// To keep a record that this version of the program cannot decode:
    ///
    /// ```
    /// use hangup::outbox::{Unsendable, UnsendableAction};
    /// use std::io::Write;
    ///
    /// /// Appends the record to a file, for a later version of the program.
    /// fn rescue(letter: &Unsendable<String>, file: &mut impl Write) -> UnsendableAction {
    ///     let Some(record) = letter.bytes() else {
    ///         return UnsendableAction::Keep;
    ///     };
    ///     match file.write_all(record) {
    ///         Ok(()) => UnsendableAction::Discard,
    ///         Err(_) => UnsendableAction::Keep, // the store has the only copy
    ///     }
    /// }
    /// # let _ = |letter: &Unsendable<String>| rescue(letter, &mut Vec::new());
    /// ```
    pub fn bytes(&self) -> Option<&Bytes> {
        self.bytes.as_ref()
    }

    /// Why the outbox set the message aside.
    ///
    /// ```
    /// use hangup::outbox::{Unsendable, UnsendableAction, UnsendableReason};
    ///
    /// /// A handler that keeps only messages that a later version of the program may be able to send.
    /// fn decide(letter: Unsendable<String>) -> UnsendableAction {
    ///     match letter.reason() {
    ///         UnsendableReason::TooManyAttempts(_) => UnsendableAction::Discard,
    ///         _ => UnsendableAction::Keep,
    ///     }
    /// }
    /// # use hangup::outbox::Outbox;
    /// # let connect = || tokio::net::TcpStream::connect("127.0.0.1:9");
    /// # let builder = Outbox::builder(connect, tokio_util::codec::LinesCodec::new);
    /// let builder = builder.on_unsendable(decide);
    /// # assert!(format!("{builder:?}").contains("Acknowledged"));
    /// ```
    pub fn reason(&self) -> &UnsendableReason {
        &self.reason
    }
}

/// `Debug` does not print the message.
impl<T> fmt::Debug for Unsendable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsendable")
            .field("number", &self.number)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// Why an outbox set a message aside.
///
/// ```
/// use hangup::outbox::UnsendableReason;
///
/// /// Whom to tell.
/// fn who(reason: &UnsendableReason) -> &'static str {
///     match reason {
///         UnsendableReason::EncodeFailed(_) => "the developer of the sender",
///         UnsendableReason::DecodeFailed(_) => "the author of the new record format",
///         UnsendableReason::TooManyAttempts(_) => "the operator of the peer: it closes on this message",
///         _ => "the developer",
///     }
/// }
///
/// assert_eq!(who(&UnsendableReason::EncodeFailed("too long".into())), "the developer of the sender");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsendableReason {
    /// [`Record::from_bytes`](super::Record::from_bytes) failed or panicked on what the store returned.
    DecodeFailed(Arc<str>),
    /// The encoder failed or panicked.
    EncodeFailed(Arc<str>),
    /// This many connections ended while it was the only unconfirmed message, see
    /// [`Builder::max_attempts`](super::Builder::max_attempts).
    TooManyAttempts(u32),
}

impl fmt::Display for UnsendableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DecodeFailed(why) => write!(f, "its record cannot be decoded: {why}"),
            Self::EncodeFailed(why) => write!(f, "the encoder failed: {why}"),
            Self::TooManyAttempts(attempts) => {
                write!(f, "{attempts} connections ended while it was being sent")
            }
        }
    }
}

/// What a durable outbox does with an [`Unsendable`] message after the handler has seen it.
///
/// Without a store both mean the same: the message is dropped, and its receipt reports the reason.
///
/// | action | the store | for a message that |
/// |---|---|---|
/// | `Keep` | keeps it, with the reason, until [`remove_dead_letters`](super::Store::remove_dead_letters) | a person, or a later version of the program, can repair |
/// | `Discard` | forgets it | nobody will look at, or that the handler has written to another place |
///
/// ```
/// use hangup::outbox::UnsendableAction;
///
/// assert_eq!(UnsendableAction::default(), UnsendableAction::Keep);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum UnsendableAction {
    /// It becomes a [`DeadLetter`](super::DeadLetter) of the store.
    #[default]
    Keep,
    /// It is removed from the store.
    Discard,
}
