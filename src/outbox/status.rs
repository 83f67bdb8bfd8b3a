//! The state of an outbox.

use super::give_up::GiveUpReason;
use crate::errors::CloseReason;
use std::time::Duration;
use tokio::time::Instant;

/// The state of an outbox: what [`Outbox::status`](super::Outbox::status) returns, and what the channel of
/// [`Outbox::subscribe`](super::Outbox::subscribe) carries.
///
/// `queued`, `unconfirmed`, `bytes` and `oldest` are current values. The other counts never go down. They start at
/// zero when the outbox starts; messages that a store held count in `queued` from the start.
///
/// ```
/// use hangup::outbox::{Link, Outbox};
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
/// let receipt = outbox.send("door 7 opened").await?;
/// let status = outbox.status();
/// assert_eq!((status.queued, status.bytes), (1, 13));
/// assert_eq!((status.delivered, status.dropped), (0, 0));
///
/// outbox.shutdown(Duration::ZERO).await;
/// assert_eq!(outbox.status().link, Link::Closed);
/// assert!(receipt.await.is_err());
/// # Ok(())
/// # }
/// ```
///
/// What to alert an operator on:
///
/// | what is wrong | how it shows |
/// |---|---|
/// | the peer is unreachable | `link` stays `Retrying`, and `connects` grows |
/// | the link is too slow for the messages | `oldest` grows while `link` is `Connected` |
/// | the peer refuses messages | `rejected` grows |
/// | the program sends messages that cannot be encoded | `unsendable` grows |
///
/// A health check for a supervisor, by the age of the oldest message. A link that is down for a moment is no reason for an
/// alarm, because the outbox reconnects by itself:
///
/// ```
/// use hangup::outbox::{Link, Outbox, OutboxStatus};
/// use std::io::ErrorKind;
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// /// What is wrong, if anything is.
/// fn complaint(status: &OutboxStatus) -> Option<String> {
///     match (&status.link, status.oldest) {
///         (Link::GaveUp(why), _) => Some(format!("the outbox gave up: {why}")),
///         (Link::Closed, _) => Some("the outbox has ended".to_owned()),
///         (_, Some(age)) if age > Duration::from_secs(60) => {
///             Some(format!("{} messages wait, one of them for {} s", status.queued, age.as_secs()))
///         }
///         _ => None,
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let away = || async { Err::<TcpStream, _>(ErrorKind::ConnectionRefused.into()) };
/// let outbox = Outbox::builder(away, LinesCodec::new).spawn()?;
/// drop(outbox.send("door opened").await?);
/// tokio::time::sleep(Duration::from_secs(30)).await;
/// assert_eq!(complaint(&outbox.status()), None);
/// tokio::time::sleep(Duration::from_secs(60)).await;
/// assert_eq!(complaint(&outbox.status()).unwrap(), "1 messages wait, one of them for 90 s");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// The state of the connection.
    pub link: Link,
    /// Messages in the outbox, in memory or only in its store: not yet written, or not yet confirmed.
    pub queued: usize,
    /// Those of them that are written on this connection and not yet confirmed.
    pub unconfirmed: usize,
    /// The sizes of the messages in memory, in bytes.
    pub bytes: usize,
    /// Messages that are only in the store of a [durable](super::Builder::durable) outbox, because memory has no
    /// room for them.
    pub on_disk: u64,
    /// The sizes of their records, in bytes.
    pub on_disk_bytes: u64,
    /// The age of the oldest message, since [`send`](super::Outbox::send) accepted it.
    ///
    /// For messages that are or were [only in the store](Self::on_disk) it has two limits. It may be too high: by at most
    /// one second, or by a 500th of the time that the outbox has had such messages, if that is longer. And a message
    /// that an earlier outbox has left in the store counts from the start of this one, because a store keeps no times.
    pub oldest: Option<Duration>,
    /// Messages confirmed so far.
    pub delivered: u64,
    /// How often a message was written again after a loss, so far.
    pub resent: u64,
    /// Messages dropped so far: expired, lost as best effort, overflowed, rejected, or set aside.
    pub dropped: u64,
    /// Those of them that the peer rejected.
    pub rejected: u64,
    /// Messages set aside so far, see [`Unsendable`](super::Unsendable).
    pub unsendable: u64,
    /// Calls of `connect` so far.
    pub connects: u64,
}

/// The state of an outbox's connection.
///
/// ```
/// use hangup::outbox::Link;
///
/// /// A word for a status line.
/// fn word(link: &Link) -> String {
///     match link {
///         Link::Connected => "online".into(),
///         Link::Connecting { attempt: 0, .. } => "connecting".into(),
///         Link::Connecting { attempt, .. } => format!("connecting, attempt {attempt}"),
///         Link::Retrying { reason, .. } => format!("offline: {reason}"),
///         Link::GaveUp(why) => format!("gave up: {why}"),
///         _ => "closed".into(),
///     }
/// }
///
/// assert_eq!(word(&Link::Connected), "online");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// An attempt to connect is under way.
    #[non_exhaustive]
    Connecting {
        /// 0 for the first connection, 1 for the first attempt after a loss.
        attempt: u32,
    },
    /// There is a connection.
    Connected,
    /// There is no connection. The next attempt follows after a delay.
    #[non_exhaustive]
    Retrying {
        /// 1 for the first attempt after a loss.
        attempt: u32,
        /// When the attempt starts.
        retry_at: Instant,
        /// Why the last connection ended, or could not be made.
        reason: CloseReason,
    },
    /// The outbox has ended: it was shut down, or its task is gone.
    Closed,
    /// The outbox gave up. [`Outbox::resume`](super::Outbox::resume) restarts it.
    GaveUp(GiveUpReason),
}

#[cfg(test)]
impl OutboxStatus {
    /// The status of an empty outbox that has a connection.
    pub(crate) fn connected(delivered: u64) -> Self {
        Self {
            link: Link::Connected,
            queued: 0,
            unconfirmed: 0,
            bytes: 0,
            on_disk: 0,
            on_disk_bytes: 0,
            oldest: None,
            delivered,
            resent: 0,
            dropped: 0,
            rejected: 0,
            unsendable: 0,
            connects: 0,
        }
    }
}
