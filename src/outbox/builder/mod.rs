//! The configuration of an outbox.
//! It may use the engine, and the types that a configuration names.
//! The constructors of `Outbox` use it.

mod connections;
mod durable;
mod limits;
mod queue;

use crate::outbox::confirm::Confirm;
use crate::outbox::connection::Connection;
use crate::outbox::engine;
use crate::outbox::engine::encode::Encode;
use crate::outbox::engine::settings::Settings;
use crate::outbox::message::Message;
use crate::outbox::sender::Outbox;
use std::fmt;
use std::future::Future;
use std::io;

/// The configuration of an [`Outbox`], see [`Outbox::builder`].
///
/// [`spawn`](Self::spawn) checks all values together. No value is silently adjusted.
///
/// | to set | method | default |
/// |---|---|---|
/// | what confirms a message | [`confirm`](Self::confirm) | the peer's TCP |
/// | memory | [`capacity`](Self::capacity), [`overflow`](Self::overflow) | 16 MiB and 65 536 messages; `send` waits |
/// | messages in flight | [`in_flight`](Self::in_flight) | no limit |
/// | delays between attempts | [`backoff`](Self::backoff), [`reset_backoff_after`](Self::reset_backoff_after) | 200 ms to 10 s, with jitter |
/// | when to give up | [`give_up_on`](Self::give_up_on), [`give_up_after`](Self::give_up_after) | on mistakes of the program |
/// | time limits | [`connect_timeout`](Self::connect_timeout), [`dead_peer_timeout`](Self::dead_peer_timeout), [`ack_timeout`](Self::ack_timeout) | 10 s, 30 s, off |
/// | bad messages and replies | [`max_attempts`](Self::max_attempts), [`on_unsendable`](Self::on_unsendable), [`max_reply`](Self::max_reply) | no limit, keep, 1 MiB |
/// | the end | [`linger`](Self::linger) | 10 s |
/// | a store | [`durable`](Self::durable), [`durable_nonblocking`](Self::durable_nonblocking) | none |
/// | the name in metrics and events | [`name`](Self::name) | `outbox` |
///
/// # Three configurations
///
/// Telemetry, where only recent values matter. Memory is small, and old values make room for new ones:
///
/// ```
/// use hangup::outbox::{Importance, Outbox, Overflow};
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let telemetry = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
///     .name("telemetry")
///     .capacity(64 * 1024, 100)
///     .overflow(Overflow::DropOldest)
///     .spawn()?;
/// let recent = Importance::BestEffort { ttl: Duration::from_secs(1) };
/// for reading in 0..200 {
///     drop(telemetry.try_send_with(format!("{reading} degrees"), recent)?);
/// }
/// let status = telemetry.status();
/// assert_eq!((status.queued, status.dropped), (100, 100));
/// # Ok(())
/// # }
/// ```
///
/// Alarms, which must arrive even if the program is killed. The peer confirms each one, and a message that it cannot
/// process does not block the others:
///
/// ```
/// # #[cfg(feature = "durable")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use hangup::outbox::{Confirm, DiskStore, Fsync, Outbox, Processed};
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # let directory = std::env::temp_dir().join(format!("hangup-alarms-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let replies = || LinesCodec::new_with_max_length(80);
/// let ok = |reply: String| (reply == "ok").then_some(Processed::Oldest(1));
/// let alarms = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
///     .name("alarms")
///     .confirm(Confirm::by_number(replies, ok))
///     .durable(DiskStore::open(directory.join("alarms"), Fsync::Each)?)
///     .ack_timeout(Duration::from_secs(10)) // a peer that hangs gets a new connection
///     .max_attempts(5) // a message that ends five connections is set aside
///     .spawn()?;
/// drop(alarms.send("door 7 is broken".to_owned()).await?); // it is on disk now
/// assert_eq!(alarms.status().queued, 1);
/// # alarms.shutdown(Duration::ZERO).await;
/// # drop(alarms);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "durable"))]
/// # fn main() {}
/// ```
///
/// A control loop, which must never wait. It learns immediately that the outbox is full, and keeps the message:
///
/// ```
/// use hangup::outbox::{Outbox, Overflow, RefusedReason};
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let commands = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
///     .capacity(1024, 2)
///     .overflow(Overflow::Refuse)
///     .in_flight(1) // the peer processes one command at a time
///     .spawn()?;
/// drop(commands.try_send("forward")?);
/// drop(commands.try_send("left")?);
/// let error = commands.try_send("stop").unwrap_err();
/// assert_eq!(*error.reason(), RefusedReason::Full);
/// assert_eq!(error.into_message(), "stop");
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `spawn` or `build`"]
pub struct Builder<T: Message> {
    confirm: Confirm<T>,
    settings: Settings<T>,
}

impl<T: Message> Builder<T> {
    pub(crate) fn new<F, R, C>(
        mut connect: F,
        encoder: impl FnMut() -> Box<dyn Encode<T>> + Send + 'static,
    ) -> Self
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = io::Result<C>> + Send + 'static,
        C: Into<Connection> + 'static,
    {
        let connect = Box::new(move || -> engine::settings::Connecting {
            let connecting = connect();
            Box::pin(async move { connecting.await.map(Into::into) })
        });
        Self {
            confirm: Confirm::Acknowledged,
            settings: Settings::new(connect, Box::new(encoder)),
        }
    }

    /// What counts as a confirmation. Default: [`Confirm::Acknowledged`], which every peer supports.
    /// [`Confirm::ByPeer`] promises more, so prefer it if the protocol has replies.
    ///
    /// ```
    /// use hangup::outbox::{Confirm, ConfirmedBy, Outbox, Processed};
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use futures::{SinkExt, StreamExt};
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # tokio::spawn(async move {
    /// #     let stream = listener.accept().await.unwrap().0;
    /// #     let mut lines = tokio_util::codec::Framed::new(stream, LinesCodec::new());
    /// #     while let Some(Ok(_)) = lines.next().await {
    /// #         lines.send("ok").await.unwrap();
    /// #     }
    /// # });
    /// // The peer replies "ok" to each message, in order. The messages have no ids.
    /// let by_count = Confirm::by_number(
    ///     || LinesCodec::new_with_max_length(80),
    ///     |reply: String| (reply == "ok").then_some(Processed::Oldest(1)),
    /// );
    /// let outbox = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new)
    ///     .confirm(by_count)
    ///     .spawn()?;
    /// let receipt = outbox.send("door opened").await?;
    /// assert_eq!(receipt.await?.confirmed_by(), ConfirmedBy::Reply);
    /// # Ok(())
    /// # }
    /// ```
    pub fn confirm(mut self, confirm: Confirm<T>) -> Self {
        self.confirm = confirm;
        self
    }

    /// The name of this outbox in metrics and events. Default: `outbox`.
    ///
    /// With the feature `metrics` the program's recorder gets the state of the outbox, and with the feature `tracing`
    /// its subscriber gets an event for each change of the connection: the modules `hangup::metrics` and
    /// `hangup::tracing` list them.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .name("telemetry")
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Starts the outbox as a task of the current runtime.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn(self) -> io::Result<Outbox<T>> {
        let (outbox, task) = self.build()?;
        tokio::spawn(task);
        Ok(outbox)
    }

    /// Returns the outbox and its task, for programs that do not want [`spawn`](Self::spawn) to spawn the task.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): a value is out of its range; the message says
    ///   which;
    /// * [`NotConnected`](io::ErrorKind::NotConnected): no runtime is entered;
    /// * [`Unsupported`](io::ErrorKind::Unsupported): the runtime was built without timers;
    /// * errors of the store, and of starting its thread. A record that cannot be decoded is not an error: it becomes
    ///   [`Unsendable`](crate::outbox::Unsendable).
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let builder = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new);
    /// let (outbox, task) = builder.build()?;
    /// drop(outbox); // the last handle, and nothing to deliver
    /// task.await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn build(self) -> io::Result<(Outbox<T>, impl Future<Output = ()> + Send + use<T>)> {
        let (shared, driver) = engine::start(self.settings, self.confirm)?;
        Ok((Outbox::new(shared), driver.run()))
    }
}

impl<T: Message> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("confirm", &self.confirm)
            .field("bytes", &self.settings.max_bytes)
            .field("count", &self.settings.max_count)
            .finish_non_exhaustive()
    }
}
