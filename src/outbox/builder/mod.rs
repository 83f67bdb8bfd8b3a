//! The configuration of an outbox.
//! It may use the engine, and the types that a configuration names.
//! The constructors of `Outbox` use it.

use crate::outbox::confirm::Confirm;
use crate::outbox::connection::Connection;
use crate::outbox::engine;
use crate::outbox::engine::on_unsendable::OnUnsendable;
use crate::outbox::engine::settings::{Durable, Encode, Settings, StoreCalls};
use crate::outbox::envelope::Envelope;
use crate::outbox::message::Message;
use crate::outbox::overflow::Overflow;
use crate::outbox::sender::Outbox;
use crate::outbox::store::{Record, Store};
use crate::outbox::unsendable::{Unsendable, UnsendableAction};
use crate::outbox::user_code;
use bytes::BytesMut;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::io;
use std::time::Duration;
use tokio_util::codec::Encoder;

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
        encoder: impl FnMut() -> Encode<T> + Send + 'static,
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

    /// How much the outbox holds in memory: the total size of its messages in bytes, and their number. Default: 16 MiB
    /// and 65 536 messages. [`overflow`](Self::overflow) says what happens beyond that. In a [durable](Self::durable)
    /// outbox, important messages beyond the capacity stay on disk.
    ///
    /// [`spawn`](Self::spawn) refuses zero.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .capacity(1024, 1)
    ///     .spawn()?;
    /// drop(outbox.try_send("door opened").unwrap());
    /// assert!(outbox.try_send("door closed").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn capacity(mut self, bytes: usize, count: usize) -> Self {
        self.settings.max_bytes = bytes;
        self.settings.max_count = count;
        self
    }

    /// What happens to a message for which there is no room. Default: [`Overflow::Wait`].
    ///
    /// ```
    /// use hangup::outbox::{Outbox, Overflow, UndeliveredReason};
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .capacity(1024, 1)
    ///     .overflow(Overflow::DropOldest)
    ///     .spawn()?;
    /// let first = outbox.send("21.3 degrees").await.unwrap();
    /// let second = outbox.send("21.4 degrees").await.unwrap();
    /// let dropped = first.await.unwrap_err();
    /// assert_eq!(*dropped.reason(), UndeliveredReason::Overflowed);
    /// # drop(second);
    /// # Ok(())
    /// # }
    /// ```
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.settings.overflow = overflow;
        self
    }

    /// How many messages may be written and unconfirmed at the same time. Default: no limit.
    ///
    /// For a peer that has such a limit, as with MQTT's Receive Maximum. [`spawn`](Self::spawn) refuses zero.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .in_flight(20)
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn in_flight(mut self, count: usize) -> Self {
        self.settings.in_flight = count;
        self
    }

    /// The key of a message: messages of one key arrive in the order in which the outbox accepted them. Default: all
    /// messages have one key.
    ///
    /// Keys matter together with [`priority`](Self::priority): an urgent message overtakes messages of other keys, never one
    /// of its own. Alone they change nothing, because all messages keep their order then.
    ///
    /// `key` is called once for each message, when it is sent, and once more when it comes back from a store. It must return
    /// the same key then. The outbox keeps a hash of the key: two keys may share one, and then also keep their common order.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// // Messages like "door7 opened": those of one door keep their order.
    /// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .ordering_key(|message| message.split(' ').next().map(str::to_owned))
    ///     .priority(|message| if message.ends_with("forced") { 1 } else { 0 })
    ///     .spawn()?;
    /// outbox.send("door7 opened".to_owned()).await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ordering_key<K: Hash>(mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        self.settings.ranking.set_key(key);
        self
    }

    /// The priority of a message: the outbox writes messages with a higher one before messages of other
    /// [keys](Self::ordering_key) with a lower one. Default: all have the same priority.
    ///
    /// * Within a key the order stays. Messages that wait before an urgent one of their key go with it, before those of other
    ///   keys.
    /// * Messages of one priority go in the order in which they were accepted.
    /// * An urgent message cannot overtake what is written already: one batch of 64 KiB, and what the kernel holds. See
    ///   [`in_flight`](Self::in_flight), and
    ///   [`MonitorConfig::unsent_limit`](crate::MonitorConfig::unsent_limit) for a stream that `connect` monitors itself.
    /// * A steady flow of urgent messages holds all others back.
    /// * In a [durable](Self::durable) outbox priorities apply among the messages in memory. A message that is only in the
    ///   store comes into memory in the order of the store.
    /// * Senders that wait for room get it in the order in which they came.
    /// * [`Overflow::DropOldest`](crate::outbox::Overflow::DropOldest) drops the oldest message of the lowest priority. It drops the
    ///   new message if all others are more urgent.
    ///
    /// The peer sees messages out of the order of their numbers: see [`Envelope`](crate::outbox::Envelope) and
    /// [`Processed::UpTo`](crate::outbox::Processed::UpTo). Each message in the queue takes more memory then, for its places in
    /// the order.
    ///
    /// `priority` is called as `ordering_key` is. [`spawn`](Self::spawn) refuses a priority without an `ordering_key`: without
    /// keys no message may overtake another one.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let without_key = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .priority(|message| u8::from(message.contains("alarm")));
    /// let error = without_key.spawn().unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    /// # }
    /// ```
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::io::AsyncReadExt;
    /// use tokio::net::{TcpListener, TcpStream};
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # let peer = tokio::spawn(async move {
    /// #     let mut lines = String::new();
    /// #     listener.accept().await?.0.read_to_string(&mut lines).await?;
    /// #     Ok::<_, std::io::Error>(lines)
    /// # });
    /// let connect = move || TcpStream::connect(address);
    /// let (outbox, task) = Outbox::builder(connect, LinesCodec::new)
    ///     .ordering_key(|message: &&str| message.split(' ').next())
    ///     .priority(|message: &&str| if message.contains("alarm") { 1 } else { 0 })
    ///     .build()?;
    /// for message in ["log started", "door7 opened", "log idle", "door7 alarm"] {
    ///     drop(outbox.send(message).await?);
    /// }
    /// tokio::spawn(task); // it begins to write now
    /// outbox.shutdown(Duration::from_secs(10)).await;
    /// // The door's messages keep their order, and overtake the log.
    /// # #[cfg(target_os = "linux")]
    /// assert_eq!(peer.await??, "door7 opened\ndoor7 alarm\nlog started\nlog idle\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn priority(mut self, priority: impl Fn(&T) -> u8 + Send + Sync + 'static) -> Self {
        self.settings.ranking.priority = Some(Box::new(priority));
        self
    }

    /// The delays before each attempt to connect after a loss. Default: [`Backoff`](crate::outbox::Backoff)'s.
    ///
    /// The delays start from the first one again after a healthy connection, see
    /// [`reset_backoff_after`](Self::reset_backoff_after). If the iterator ends, the outbox gives up. A delay below one
    /// millisecond counts as one millisecond. An attempt may come up to one millisecond early, because tokio's timer
    /// counts in milliseconds.
    ///
    /// ```
    /// use hangup::outbox::{Backoff, Outbox};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .backoff(Backoff::exponential(Duration::from_millis(50), Duration::from_secs(2)).unwrap())
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn backoff<B>(mut self, delays: B) -> Self
    where
        B: IntoIterator<Item = Duration> + Clone + Send + 'static,
        B::IntoIter: Send + 'static,
    {
        self.settings.delays = Box::new(move || Box::new(delays.clone().into_iter()));
        self
    }

    /// How long a connection must last to count as healthy. After a healthy connection the [back-off](Self::backoff)
    /// starts again from its first delay. Default: 10 s.
    ///
    /// A connection counts as healthy earlier if the peer's program shows that it runs: by a confirmation with
    /// [`Confirm::ByPeer`], or by any byte that it sends with [`Confirm::Acknowledged`]. An acknowledgement by TCP is
    /// not enough, because a load balancer without a back end sends it too.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .reset_backoff_after(Duration::from_secs(30))
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset_backoff_after(mut self, lasted: Duration) -> Self {
        self.settings.limits.reset_backoff_after = lasted;
        self
    }

    /// On which errors the outbox gives up instead of connecting again. Default: errors of the kinds
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) and [`Unsupported`](io::ErrorKind::Unsupported), which mean a
    /// mistake in the program.
    ///
    /// `rule` is called with each error of `connect` and with each error that ends a connection. It should return `false`
    /// for every temporary error: a refused or unreachable address, an address that does not exist yet, a rejection by
    /// a firewall, a failed look-up, unexpected bytes from a captive portal.
    ///
    /// ```
    /// use hangup::outbox::{Outbox, UndeliveredReason};
    /// use std::io::ErrorKind;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .give_up_on(|error| error.kind() == ErrorKind::ConnectionRefused)
    ///     .spawn()?;
    /// let receipt = outbox.send("door opened").await.unwrap();
    /// let error = receipt.await.unwrap_err();
    /// assert!(matches!(error.reason(), UndeliveredReason::GaveUp(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn give_up_on(mut self, rule: impl FnMut(&io::Error) -> bool + Send + 'static) -> Self {
        self.settings.give_up_on = Box::new(rule);
        self
    }

    /// Gives up after this time without a healthy connection, see
    /// [`reset_backoff_after`](Self::reset_backoff_after). Default: never.
    ///
    /// [`Outbox::resume`] restarts an outbox that gave up.
    ///
    /// ```
    /// use hangup::outbox::{Outbox, UndeliveredReason};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .give_up_after(Duration::from_millis(50))
    ///     .spawn()?;
    /// let receipt = outbox.send("door opened").await.unwrap();
    /// let error = receipt.await.unwrap_err();
    /// assert!(matches!(error.reason(), UndeliveredReason::GaveUp(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn give_up_after(mut self, without_connection: Duration) -> Self {
        self.settings.limits.give_up_after = Some(without_connection);
        self
    }

    /// How long one call of `connect` may take. Default: 10 s. `None` leaves it to the operating system, which
    /// tries for about two minutes on Linux.
    ///
    /// Without a limit, an attempt to reach a host that drops all packets delays the next attempt, which may succeed.
    /// [`spawn`](Self::spawn) refuses zero.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .connect_timeout(Duration::from_secs(3))
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_timeout(mut self, within: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.connect_timeout = within.into();
        self
    }

    /// How long a peer may be unreachable before its connection counts as lost. Default: 30 s. It applies where `connect`
    /// returns a bare [`TcpStream`](tokio::net::TcpStream): a [`MonitoredStream`](crate::MonitoredStream)
    /// has its own configuration. `None` turns it off.
    ///
    /// See [`MonitorConfig::dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout), which says
    /// what values are allowed. [`spawn`](Self::spawn) refuses others.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .dead_peer_timeout(Duration::from_secs(60))
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn dead_peer_timeout(mut self, within: impl Into<Option<Duration>>) -> Self {
        self.settings.dead_peer_timeout = within.into();
        self
    }

    /// Replaces a connection that has unconfirmed messages if nothing was written or confirmed for this long. Default: no
    /// limit. [`spawn`](Self::spawn) refuses zero.
    ///
    /// For a peer whose program hangs while its kernel still acknowledges.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .ack_timeout(Duration::from_secs(5))
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ack_timeout(mut self, within: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.ack_timeout = within.into();
        self
    }

    /// The largest size of an incomplete reply, in bytes. Default: 1 MiB. A longer reply ends the connection. Bytes that
    /// the decoder keeps itself do not count.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .max_reply(128)
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_reply(mut self, bytes: usize) -> Self {
        self.settings.limits.max_reply = bytes;
        self
    }

    /// Sets a message aside as [`Unsendable`] after this many connections have ended while it was the only
    /// unconfirmed one. Default: no limit. Then a message on which the peer always closes blocks all later messages.
    ///
    /// If two connections in a row end with the same message as the oldest unconfirmed one, the next connection carries
    /// that message alone, so that no other message is blamed. The peer must therefore confirm a message without waiting
    /// for more. Connections that ended because of the network do not count. [`spawn`](Self::spawn) refuses zero.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .max_attempts(5)
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.settings.limits.max_attempts = Some(attempts);
        self
    }

    /// Sets a handler for messages that cannot be sent, see [`Unsendable`]. It decides whether the store keeps the
    /// message. Default: the store keeps it as a dead letter.
    /// [`OutboxStatus::unsendable`](crate::outbox::OutboxStatus::unsendable) counts these messages.
    ///
    /// The handler is called by [`spawn`](Self::spawn), by the outbox's task, and by the thread that calls the
    /// store. It must not block.
    ///
    /// ```
    /// use hangup::outbox::{UnsendableAction, Outbox};
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .on_unsendable(|letter| {
    ///         eprintln!("message {}: {}", letter.number(), letter.reason());
    ///         UnsendableAction::Discard
    ///     })
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_unsendable(
        mut self,
        handler: impl FnMut(Unsendable<T>) -> UnsendableAction + Send + 'static,
    ) -> Self {
        self.settings.unsendable = Some(OnUnsendable(Box::new(handler)));
        self
    }

    /// How long the outbox goes on delivering after its last handle is dropped. Default: 10 s.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .linger(Duration::ZERO)
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn linger(mut self, linger: Duration) -> Self {
        self.settings.linger = linger;
        self
    }

    /// Also keeps important messages in `store`, from before [`send`](Outbox::send) returns until they are
    /// confirmed. So an accepted message is delivered even if the program crashes. Messages that are already in the
    /// store are delivered first, in order. For the exact promises see `DiskStore` (feature `durable`). The outbox calls
    /// the store on a thread of its own, because the calls block.
    ///
    /// Messages that do not fit into the [`capacity`](Self::capacity) are only in the store. They come into memory in
    /// order, as soon as there is room. A [`Receipt`](crate::outbox::Receipt) keeps a copy of its message in memory, so drop
    /// receipts that do not matter. While messages are only in the store, best-effort messages may use half of the
    /// capacity.
    ///
    /// Messages that are left after a [`shutdown`](Outbox::shutdown) stay in the store, and the next outbox on that
    /// store delivers them.
    ///
    /// [`Confirm::Acknowledged`] weakens this promise: the store removes a message when the peer's TCP has it,
    /// even if the peer's program has not read it.
    ///
    /// ```
    /// # #[cfg(feature = "durable")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use hangup::outbox::{DiskStore, Fsync, Outbox, Store};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # let directory = std::env::temp_dir().join(format!("hangup-builder-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .durable(DiskStore::open(&path, Fsync::Each)?)
    ///     .spawn()?;
    /// drop(outbox.send("door opened".to_owned()).await?); // it is on disk now
    /// assert!(outbox.shutdown(Duration::ZERO).await.is_store_closed());
    ///
    /// let kept = DiskStore::open(&path, Fsync::Each)?.recover()?;
    /// assert_eq!(kept.len(), 1);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "durable"))]
    /// # fn main() {}
    /// ```
    pub fn durable(self, store: impl Store) -> Self
    where
        T: Record,
    {
        self.with_store(store, StoreCalls::OnThread)
    }

    /// As [`durable`](Self::durable), for a store whose calls never block, for instance one in memory. The outbox's task
    /// calls it, and no thread is started.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{Outbox, Store};
    /// use std::collections::BTreeMap;
    /// use std::io;
    /// use std::sync::{Arc, Mutex};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// /// Survives the outbox, but not the process.
    /// #[derive(Clone, Default)]
    /// struct Memory(Arc<Mutex<BTreeMap<u64, Bytes>>>);
    ///
    /// impl Store for Memory {
    ///     fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
    ///         Ok(self.0.lock().unwrap().clone().into_iter().collect())
    ///     }
    ///     fn next_number(&mut self) -> io::Result<u64> {
    ///         Ok(self.0.lock().unwrap().last_key_value().map_or(0, |(number, _)| number + 1))
    ///     }
    ///     fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
    ///         self.0.lock().unwrap().extend(batch.iter().cloned());
    ///         Ok(())
    ///     }
    ///     fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
    ///         self.0.lock().unwrap().retain(|number, _| !numbers.contains(number));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = Memory::default();
    /// let connect = || TcpStream::connect("127.0.0.1:9");
    /// let outbox = Outbox::<String>::builder(connect, LinesCodec::new)
    ///     .durable_nonblocking(store.clone())
    ///     .spawn()?;
    /// drop(outbox.send("door opened".to_owned()).await?);
    /// outbox.shutdown(Duration::ZERO).await;
    /// assert_eq!(store.0.lock().unwrap()[&0], "door opened");
    /// # Ok(())
    /// # }
    /// ```
    pub fn durable_nonblocking(self, store: impl Store) -> Self
    where
        T: Record,
    {
        self.with_store(store, StoreCalls::OnTask)
    }

    fn with_store(mut self, store: impl Store, calls: StoreCalls) -> Self
    where
        T: Record,
    {
        self.settings.durable = Some(Durable {
            store: Box::new(store),
            calls,
            to_bytes: T::to_bytes,
            from_bytes: T::from_bytes,
        });
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
    ///   [`Unsendable`].
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

/// Makes the encoder of a connection, which sees the message alone.
pub(crate) fn encode<T, E>(mut encoder: E) -> Encode<T>
where
    E: Encoder<T> + Send + 'static,
    E::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Box::new(move |envelope: Envelope<T>, bytes: &mut BytesMut| {
        encoder
            .encode(envelope.message, bytes)
            .map_err(|error| user_code::io_error(error.into()))
    })
}

/// Makes the encoder of a connection, which sees the envelope.
pub(crate) fn encode_envelope<T, E>(mut encoder: E) -> Encode<T>
where
    E: Encoder<Envelope<T>> + Send + 'static,
    E::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Box::new(move |envelope: Envelope<T>, bytes: &mut BytesMut| {
        encoder
            .encode(envelope, bytes)
            .map_err(|error| user_code::io_error(error.into()))
    })
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
