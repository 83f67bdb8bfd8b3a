//! What is queued, and in which order it is sent.

use super::Builder;
use crate::outbox::message::Message;
use crate::outbox::overflow::Overflow;
use std::hash::Hash;

impl<T: Message> Builder<T> {
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
    /// A written message that [expires](crate::outbox::Importance), or that [`overflow`](Self::overflow) drops, gives its place
    /// up, although the peer may still reply to it: perhaps it never does. For a peer that ends a connection with more
    /// messages than it allows, send messages without a limit of time, and do not let `overflow` drop any.
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use hangup::MonitoredStream;
    /// use hangup::outbox::{Confirm, Outbox, Processed};
    /// use std::time::Duration;
    /// use tokio::sync::mpsc;
    /// use tokio::time::timeout;
    /// use tokio_util::codec::{Framed, LinesCodec};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (accept, mut accepted) = mpsc::unbounded_channel();
    /// # let connect = move || {
    /// #     let (ours, theirs) = tokio::io::duplex(1024);
    /// #     let _ = accept.send(theirs);
    /// #     async { Ok::<_, std::io::Error>(MonitoredStream::unwatched(ours)) }
    /// # };
    /// let ok = |reply: String| (reply == "ok").then_some(Processed::Oldest(1));
    /// let outbox = Outbox::builder(connect, LinesCodec::new)
    ///     .confirm(Confirm::by_number(LinesCodec::new, ok))
    ///     .in_flight(1)
    ///     .spawn()?;
    /// drop(outbox.send("door opened").await?);
    /// drop(outbox.send("door closed").await?);
    ///
    /// let mut peer = Framed::new(accepted.recv().await.unwrap(), LinesCodec::new());
    /// assert_eq!(peer.next().await.unwrap()?, "door opened");
    /// // The second message is not written before the first one is confirmed.
    /// assert!(timeout(Duration::from_secs(60), peer.next()).await.is_err());
    /// peer.send("ok").await?;
    /// assert_eq!(peer.next().await.unwrap()?, "door closed");
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
    /// Keys matter only together with [`priority`](Self::priority): an urgent message overtakes messages of other keys, and
    /// never one of its own key. Without priorities all messages keep one order, whatever their keys.
    ///
    /// `key` is called once for each message, when it is sent, and once more when it comes back from a store. It must return
    /// the same key then. The outbox keeps a hash of the key: two keys may share one, and then also keep their common order.
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
    /// // Messages like "door7 opened": those of one door keep their order.
    /// let (outbox, task) = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new)
    ///     .ordering_key(|message: &&str| message.split(' ').next())
    ///     .priority(|message: &&str| u8::from(message.ends_with("forced")))
    ///     .build()?;
    /// for message in ["door8 opened", "door7 opened", "door7 forced", "door8 closed"] {
    ///     drop(outbox.send(message).await?);
    /// }
    /// tokio::spawn(task); // it begins to write now
    /// outbox.shutdown(Duration::from_secs(10)).await;
    /// # #[cfg(target_os = "linux")]
    /// assert_eq!(peer.await??, "door7 opened\ndoor7 forced\ndoor8 opened\ndoor8 closed\n");
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
    /// * The order within a key does not change. Messages that wait ahead of an urgent message of the same key move
    ///   forward together with it.
    /// * Messages of one priority go in the order in which they were accepted.
    /// * An urgent message cannot overtake what is written already: one batch of 64 KiB, and what the kernel holds. See
    ///   [`in_flight`](Self::in_flight), and
    ///   [`MonitorConfig::unsent_limit`](crate::MonitorConfig::unsent_limit) for a stream that `connect` monitors itself.
    /// * A steady flow of urgent messages starves all others.
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
    /// `priority` is called whenever `ordering_key` is. [`spawn`](Self::spawn) refuses a priority without an
    /// `ordering_key`: without keys no message may overtake another one.
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
}
