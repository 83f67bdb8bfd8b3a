//! The outcome of one message.

use super::engine::shared::OutboxShared;
use super::message::Message;
use super::processed::ConfirmedBy;
use super::undelivered::UndeliveredError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The message was confirmed.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use hangup::outbox::{ConfirmedBy, Delivered, Outbox};
/// use tokio::net::{TcpListener, TcpStream};
/// use tokio_util::codec::LinesCodec;
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let outbox = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new).spawn()?;
/// let delivered: Delivered = outbox.send("door opened").await?.await?;
/// assert_eq!(delivered.confirmed_by(), ConfirmedBy::Tcp);
/// # Ok(())
/// # }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delivered {
    confirmed_by: ConfirmedBy,
}

impl Delivered {
    /// What confirmed it. [`ConfirmedBy::Tcp`] does not say that the peer's program has read it.
    ///
    /// ```
    /// use hangup::outbox::{ConfirmedBy, Delivered};
    ///
    /// fn describe(delivered: Delivered) -> &'static str {
    ///     match delivered.confirmed_by() {
    ///         ConfirmedBy::Reply => "the station has processed it",
    ///         _ => "the station's kernel has it",
    ///     }
    /// }
    /// # let _ = describe;
    /// ```
    pub fn confirmed_by(&self) -> ConfirmedBy {
        self.confirmed_by
    }
}

/// The outcome of one message: a future that resolves to [`Delivered`], or to [`UndeliveredError`] with the
/// message and the reason.
///
/// Dropping the receipt does not cancel the message. A receipt keeps neither the outbox nor its task alive.
///
/// # Panics
///
/// If it is polled again after it has resolved.
///
/// # Cancel safety
///
/// Cancel safe: poll it by `&mut` and nothing is lost.
///
/// To wait for a limited time. The message is still delivered later:
///
/// ```
/// use hangup::outbox::Outbox;
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
/// let mut receipt = outbox.send("door 7 opened").await?;
/// let outcome = tokio::time::timeout(Duration::from_millis(10), &mut receipt).await;
/// assert!(outcome.is_err()); // nobody listens there: no outcome yet
/// assert_eq!(outbox.status().queued, 1);
/// # Ok(())
/// # }
/// ```
///
/// To wait for many receipts, in the order in which they are confirmed:
///
/// ```
/// use futures::{StreamExt, stream::FuturesUnordered};
/// use hangup::outbox::Outbox;
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
/// let mut receipts = FuturesUnordered::new();
/// for text in ["door 7 opened", "door 7 closed"] {
///     receipts.push(outbox.send(text).await?);
/// }
/// # outbox.shutdown(Duration::ZERO).await;
/// let mut failed = Vec::new();
/// while let Some(outcome) = receipts.next().await {
///     match outcome {
///         Ok(_) => {}
///         Err(error) => failed.push(error.into_message()),
///     }
/// }
/// assert_eq!(failed.len(), 2); // nobody listens there
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless polled; drop the receipt if the outcome does not matter"]
pub struct Receipt<T: Message> {
    shared: Arc<OutboxShared<T>>,
    number: u64,
    state: State,
}

/// Whether a receipt has resolved. It is as large as a pointer, because a receipt is moved often: padding that was just
/// written costs the processor more to copy than the rest of the receipt.
#[derive(PartialEq, Eq)]
#[repr(usize)]
enum State {
    Pending,
    Resolved,
}

impl<T: Message> Receipt<T> {
    pub(crate) fn new(shared: Arc<OutboxShared<T>>, number: u64) -> Self {
        Self {
            shared,
            number,
            state: State::Pending,
        }
    }

    /// The number of the message, see [`Envelope::number`](super::Envelope::number).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
    /// let first = outbox.try_send("door opened").unwrap();
    /// let second = outbox.try_send("door closed").unwrap();
    /// assert!(first.number() < second.number());
    /// # Ok(())
    /// # }
    /// ```
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl<T: Message> Future for Receipt<T> {
    type Output = Result<Delivered, UndeliveredError<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A number that nothing is known of any more counts as delivered.
        assert!(
            self.state == State::Pending,
            "hangup: a receipt was polled after it had resolved"
        );
        let outcome = self.shared.poll_receipt(self.number, cx);
        if outcome.is_ready() {
            self.state = State::Resolved;
        }
        outcome.map_ok(|confirmed_by| Delivered { confirmed_by })
    }
}

impl<T: Message> Drop for Receipt<T> {
    fn drop(&mut self) {
        if self.state == State::Pending {
            self.shared.forget_receipt(self.number);
        }
    }
}

impl<T: Message> fmt::Debug for Receipt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
