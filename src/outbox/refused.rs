//! Why an outbox did not accept a message.

use super::give_up::GiveUpReason;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The outbox did not accept a message. The error gives the message back.
///
/// ```
/// use hangup::outbox::{Outbox, RefusedReason};
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
///     .capacity(10, 1)
///     .spawn()?;
/// let error = outbox.try_send("more than ten bytes").unwrap_err();
/// assert_eq!(*error.reason(), RefusedReason::TooLarge);
/// assert_eq!(error.into_message(), "more than ten bytes");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxError<T> {
    message: T,
    reason: RefusedReason,
}

impl<T> OutboxError<T> {
    pub(crate) fn new(message: T, reason: RefusedReason) -> Self {
        Self { message, reason }
    }

    /// The message.
    ///
    /// ```
    /// # use hangup::outbox::Outbox;
    /// # use tokio::net::TcpStream;
    /// # use tokio_util::codec::LinesCodec;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let builder = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new);
    /// # let outbox = builder.capacity(4, 1).spawn()?;
    /// let error = outbox.try_send("door opened").unwrap_err();
    /// assert_eq!(*error.message(), "door opened");
    /// # Ok(())
    /// # }
    /// ```
    pub fn message(&self) -> &T {
        &self.message
    }

    /// Why the outbox did not accept the message.
    ///
    /// ```
    /// # use hangup::outbox::{Outbox, RefusedReason};
    /// # use tokio::net::TcpStream;
    /// # use tokio_util::codec::LinesCodec;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
    /// outbox.shutdown(std::time::Duration::ZERO).await;
    /// let error = outbox.send("door opened").await.unwrap_err();
    /// assert_eq!(*error.reason(), RefusedReason::ShutDown);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reason(&self) -> &RefusedReason {
        &self.reason
    }

    /// Gives the message back.
    ///
    /// ```
    /// # use hangup::outbox::{Outbox, OutboxError, RefusedReason};
    /// # use tokio::net::TcpStream;
    /// # use tokio_util::codec::LinesCodec;
    /// /// Leaves a message for later if the outbox is full.
    /// fn send_or_keep(outbox: &Outbox<String>, text: String) -> Result<Option<String>, OutboxError<String>> {
    ///     match outbox.try_send(text) {
    ///         Ok(receipt) => {
    ///             drop(receipt);
    ///             Ok(None)
    ///         }
    ///         Err(error) if *error.reason() == RefusedReason::Full => Ok(Some(error.into_message())),
    ///         Err(error) => Err(error),
    ///     }
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new);
    /// # let outbox = builder.capacity(100, 1).spawn()?;
    /// assert_eq!(send_or_keep(&outbox, "door opened".into())?, None);
    /// assert_eq!(send_or_keep(&outbox, "door closed".into())?, Some("door closed".into()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_message(self) -> T {
        self.message
    }
}

/// `Debug` does not print the message.
impl<T> fmt::Debug for OutboxError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for OutboxError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message not accepted: {}", self.reason)
    }
}

impl<T> Error for OutboxError<T> {}

/// Why an outbox did not accept a message.
///
/// | reason | what a sender does |
/// |---|---|
/// | `Full` | waits with [`send`](super::Outbox::send), or drops something less important |
/// | `TooLarge` | splits the message, or sets a larger [`capacity`](super::Builder::capacity) |
/// | `ShutDown`, `TaskGone` | stops |
/// | `GaveUp` | alerts the operator; calls [`Outbox::resume`](super::Outbox::resume) when the cause is removed |
/// | `NotStored` | tries again later: the disk may be full |
/// | `MustAwait` | calls [`send`](super::Outbox::send) |
///
/// ```
/// use hangup::outbox::RefusedReason;
///
/// /// Whether the same message may be accepted later.
/// fn is_worth_a_retry(reason: &RefusedReason) -> bool {
///     match reason {
///         RefusedReason::Full | RefusedReason::NotStored(_) | RefusedReason::GaveUp(_) => true,
///         _ => false,
///     }
/// }
///
/// assert!(is_worth_a_retry(&RefusedReason::Full));
/// assert!(!is_worth_a_retry(&RefusedReason::TooLarge));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedReason {
    /// The outbox is full. [`send`](super::Outbox::send) reports this only with
    /// [`Overflow::Refuse`](super::Overflow::Refuse); otherwise it waits.
    Full,
    /// The message is larger than the whole capacity, so it can never be accepted.
    TooLarge,
    /// The outbox is shutting down, or has shut down.
    ShutDown,
    /// The outbox has given up. [`Outbox::resume`](super::Outbox::resume) restarts it.
    GaveUp(GiveUpReason),
    /// The outbox's task has ended: its runtime was shut down, or the task panicked or was dropped.
    TaskGone,
    /// The store of a [durable](super::Builder::durable) outbox did not write the message. The outbox
    /// continues to work.
    NotStored(NotStoredReason),
    /// [`try_send`](super::Outbox::try_send) cannot wait until a durable outbox has stored an important
    /// message. Use [`send`](super::Outbox::send).
    MustAwait,
}

impl fmt::Display for RefusedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the outbox is full"),
            Self::TooLarge => f.write_str("the message is larger than the outbox's capacity"),
            Self::ShutDown => f.write_str("the outbox is shut down"),
            Self::GaveUp(why) => write!(f, "the outbox gave up: {why}"),
            Self::TaskGone => f.write_str("the outbox's task has ended"),
            Self::NotStored(why) => write!(f, "the store did not write it: {why}"),
            Self::MustAwait => {
                f.write_str("a durable outbox stores the message first: use `send` and await it")
            }
        }
    }
}

/// Why the store of a durable outbox did not write a message: the kind and the text of the store's [`io::Error`], in a
/// form that can be cloned and compared.
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::{Outbox, RefusedReason, Store};
/// use std::io;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// /// A store on a disk that has failed.
/// struct Broken;
///
/// impl Store for Broken {
///     fn append(&mut self, _: &[(u64, Bytes)]) -> io::Result<()> {
///         Err(io::Error::other("the disk does not answer"))
///     }
/// #     fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
/// #         Ok(Vec::new())
/// #     }
/// #     fn next_number(&mut self) -> io::Result<u64> {
/// #         Ok(0)
/// #     }
/// #     fn remove(&mut self, _: &[u64]) -> io::Result<()> {
/// #         Ok(())
/// #     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
///     .durable(Broken)
///     .spawn()?;
/// let error = outbox.send("door opened".to_owned()).await.unwrap_err();
/// assert_eq!(error.to_string(), "message not accepted: the store did not write it: the disk does not answer");
/// assert_eq!(error.into_message(), "door opened"); // to be sent again later
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotStoredReason {
    kind: io::ErrorKind,
    message: Arc<str>,
}

impl NotStoredReason {
    pub(crate) fn new(error: &io::Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string().into(),
        }
    }

    /// The kind of the error: [`StorageFull`](io::ErrorKind::StorageFull) if the disk is full.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{Outbox, RefusedReason, Store};
    /// use std::io::{self, ErrorKind};
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// /// A store whose disk is full.
    /// struct Full;
    ///
    /// impl Store for Full {
    ///     fn append(&mut self, _: &[(u64, Bytes)]) -> io::Result<()> {
    ///         Err(ErrorKind::StorageFull.into())
    ///     }
    /// #     fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
    /// #         Ok(Vec::new())
    /// #     }
    /// #     fn next_number(&mut self) -> io::Result<u64> {
    /// #         Ok(0)
    /// #     }
    /// #     fn remove(&mut self, _: &[u64]) -> io::Result<()> {
    /// #         Ok(())
    /// #     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> io::Result<()> {
    /// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .durable(Full)
    ///     .spawn()?;
    /// let error = outbox.send("door opened".to_owned()).await.unwrap_err();
    /// let RefusedReason::NotStored(why) = error.reason() else {
    ///     panic!("{error}");
    /// };
    /// assert_eq!(why.kind(), ErrorKind::StorageFull);
    /// # Ok(())
    /// # }
    /// ```
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }
}

impl fmt::Display for NotStoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
