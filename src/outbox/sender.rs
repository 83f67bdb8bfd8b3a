//! The handle of an outbox.

use super::engine::shared::OutboxShared;
use super::message::{Importance, Message};
use super::receipt::Receipt;
use super::refused::OutboxError;
use super::shutdown::ShutdownReport;
use super::sink::OutboxSink;
use super::status::OutboxStatus;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A sender that keeps messages until they are confirmed, and sends them again after a reconnect.
///
/// Clones send into the same queue. See the [module](super) for an example.
///
/// After the last handle is dropped, the outbox delivers for [`Builder::linger`](super::Builder::linger) and ends.
///
/// ```
/// use hangup::outbox::Outbox;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
/// let mut doors = tokio::task::JoinSet::new();
/// for door in 1..=3 {
///     let outbox = outbox.clone();
///     doors.spawn(async move { outbox.send(format!("door {door} opened")).await.map(drop) });
/// }
/// while let Some(sent) = doors.join_next().await {
///     sent??;
/// }
/// assert_eq!(outbox.status().queued, 3);
/// # Ok(())
/// # }
/// ```
pub struct Outbox<T: Message> {
    shared: Arc<OutboxShared<T>>,
}

impl<T: Message> Outbox<T> {
    pub(crate) fn new(shared: Arc<OutboxShared<T>>) -> Self {
        shared.add_handle();
        Self { shared }
    }

    /// Sends an important message. Waits for room, and returns the receipt when the outbox has accepted the
    /// message.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] gives the message back: it is larger than the capacity, or the outbox has ended, or the
    /// store of a [durable](super::Builder::durable) outbox did not write it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, the message was not accepted and is dropped with the
    /// future. There is one exception: an important message of a durable outbox may already be accepted, and is then
    /// delivered. A future that is neither polled nor dropped delays other senders by at most 20 ms.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let outbox = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new).spawn()?;
    /// let receipt = outbox.send("door 7 opened").await?;
    /// # if cfg!(target_os = "linux") {
    /// receipt.await?;
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(&self, message: T) -> Result<Receipt<T>, OutboxError<T>> {
        // Not by `send_with`: a future in a future moves the message once more.
        self.shared.let_others_run().await;
        match self.shared.send_now(message, Importance::Important, true) {
            Ok(number) => Ok(self.receipt(number)),
            Err(unsent) => Ok(self.receipt(self.shared.send_later(unsent).await?)),
        }
    }

    /// As [`send`](Self::send), with another [`Importance`].
    ///
    /// A message whose time is over while it waits for room ends there: `send_with` returns its receipt, which resolves to
    /// [`Expired`](super::UndeliveredReason::Expired).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
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
    /// let ttl = Duration::from_millis(50);
    /// let receipt = outbox
    ///     .send_with("21.3 degrees", Importance::BestEffort { ttl })
    ///     .await?;
    /// assert_eq!(*receipt.await.unwrap_err().reason(), UndeliveredReason::Expired);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_with(
        &self,
        message: T,
        importance: Importance,
    ) -> Result<Receipt<T>, OutboxError<T>> {
        self.shared.let_others_run().await;
        match self.shared.send_now(message, importance, true) {
            Ok(number) => Ok(self.receipt(number)),
            Err(unsent) => Ok(self.receipt(self.shared.send_later(unsent).await?)),
        }
    }

    /// Sends an important message if there is room now.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Full`](super::RefusedReason::Full). In a durable outbox an important message is
    /// always refused, with [`MustAwait`](super::RefusedReason::MustAwait).
    ///
    /// ```
    /// use hangup::outbox::{Outbox, RefusedReason};
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .capacity(100, 1)
    ///     .spawn()?;
    /// drop(outbox.try_send("door 7 opened").unwrap());
    /// let error = outbox.try_send("door 7 closed").unwrap_err();
    /// assert_eq!(*error.reason(), RefusedReason::Full);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_send(&self, message: T) -> Result<Receipt<T>, OutboxError<T>> {
        self.try_send_with(message, Importance::Important)
    }

    /// As [`try_send`](Self::try_send), with another [`Importance`].
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
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
    /// let within = Importance::important_for(Duration::from_millis(50));
    /// let receipt = outbox.try_send_with("door opened", within)?;
    /// assert_eq!(*receipt.await.unwrap_err().reason(), UndeliveredReason::Expired);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_send_with(
        &self,
        message: T,
        importance: Importance,
    ) -> Result<Receipt<T>, OutboxError<T>> {
        let number = self.shared.try_send(message, importance, true)?;
        Ok(self.receipt(number))
    }

    fn receipt(&self, number: u64) -> Receipt<T> {
        Receipt::new(self.shared.clone(), number)
    }

    /// A [`Sink`](futures_sink::Sink) of important messages into this outbox, without receipts.
    ///
    /// ```
    /// use futures::SinkExt;
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
    /// let mut sink = outbox.sink();
    /// sink.send("door 7 opened").await?;
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sink(&self) -> OutboxSink<T> {
        OutboxSink::new(self.shared.clone())
    }

    /// The state of the outbox now.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
    /// drop(outbox.try_send("door 7 opened").unwrap());
    /// let status = outbox.status();
    /// assert_eq!((status.queued, status.bytes, status.delivered), (1, 13, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn status(&self) -> OutboxStatus {
        self.shared.current()
    }

    /// A channel that carries the state of the outbox: every change of the link immediately, and the counts at
    /// most ten times a second while they change.
    ///
    /// While a receiver's [`Ref`](watch::Ref) is held, the channel gets no newer state. The outbox waits for each `Ref`
    /// once, for at most 100 ms, and goes on. A thread of this crate publishes the newest state when the `Ref` is dropped.
    ///
    /// ```
    /// use hangup::outbox::{Link, Outbox};
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let outbox =
    ///     Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
    /// let mut states = outbox.subscribe();
    /// let retrying = |status: &hangup::outbox::OutboxStatus| matches!(status.link, Link::Retrying { .. });
    /// let status = states.wait_for(retrying).await?.clone();
    /// assert_eq!(status.connects, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe(&self) -> watch::Receiver<OutboxStatus> {
        self.shared.subscribe()
    }

    /// Connects now: ends the present connection or delay, if any, and starts the back-off anew. For a program
    /// that knows that the network has changed.
    ///
    /// An attempt that is under way starts over. So call it once for a change of the network: called again and again within
    /// the time that an attempt takes, it lets no attempt succeed.
    ///
    /// It does nothing in an outbox that has ended, or has given up: see [`resume`](Self::resume).
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let refused = || async { Err::<TcpStream, _>(std::io::ErrorKind::ConnectionRefused.into()) };
    /// let outbox = Outbox::<String>::builder(refused, LinesCodec::new)
    ///     .backoff([Duration::from_secs(3600); 2])
    ///     .spawn()?;
    /// let mut states = outbox.subscribe();
    /// states.wait_for(|status| status.connects == 1).await?;
    /// outbox.reconnect_now();
    /// states.wait_for(|status| status.connects == 2).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconnect_now(&self) {
        self.shared.reconnect_now();
    }

    /// Restarts an outbox that [gave up](super::Link::GaveUp): it connects now, and sends what it still
    /// holds. Receipts that had resolved to [`GaveUp`](super::UndeliveredReason::GaveUp) do not change. Returns
    /// whether the outbox had given up.
    ///
    /// ```
    /// use hangup::outbox::{Link, Outbox};
    /// use std::io::ErrorKind;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let wrong = || async { Err::<TcpStream, _>(ErrorKind::InvalidInput.into()) };
    /// let outbox = Outbox::<String>::builder(wrong, LinesCodec::new).spawn()?;
    /// let mut states = outbox.subscribe();
    /// states.wait_for(|status| matches!(status.link, Link::GaveUp(_))).await?;
    /// assert!(outbox.resume());
    /// states.wait_for(|status| status.connects == 2).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn resume(&self) -> bool {
        self.shared.resume()
    }

    /// Accepts no new messages, spends at most `within` on the delivery of those that it has, and ends. It waits for the store to
    /// close until one second after `within`, so it returns after `within` and one second at the latest.
    ///
    /// The report carries the messages that were not delivered. In a durable outbox they stay in the store:
    /// `shutdown(Duration::ZERO)` leaves everything to the next start. Concurrent and later calls report the
    /// same.
    ///
    /// On a thread without a runtime, such as one that calls `futures::executor::block_on`, it uses the timer of the outbox's
    /// runtime, which has to run on. In another runtime it uses the timer of that one.
    ///
    /// # Panics
    ///
    /// If that timer is missing: the runtime was built without one, or has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the outbox stays shut down, and continues to deliver until the deadline. Call
    /// `shutdown` again to continue waiting. The earlier of the two deadlines applies.
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
    /// drop(outbox.send("door 7 opened").await?);
    /// let report = outbox.shutdown(Duration::ZERO).await;
    /// assert!(!report.is_complete());
    /// assert_eq!(report.into_undelivered(), ["door 7 opened"]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self, within: Duration) -> ShutdownReport<T> {
        self.shared.shutdown(within).await
    }
}

impl<T: Message> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl<T: Message> Drop for Outbox<T> {
    fn drop(&mut self) {
        self.shared.drop_handle();
    }
}

impl<T: Message> fmt::Debug for Outbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
