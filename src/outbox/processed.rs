//! What a reply of the peer means.

use std::sync::Arc;

/// What a reply says about messages.
///
/// An id that the outbox does not hold, or has not written yet, has no effect.
///
/// | the protocol | the reply means | variant |
/// |---|---|---|
/// | MQTT's PUBACK, or any reply with the id of one message | this message | [`One`](Self::One) |
/// | a cumulative acknowledgement, such as a position in a log | everything up to here | [`UpTo`](Self::UpTo) |
/// | SMTP and Redis pipelines: one reply for each message, without an id | the oldest one | [`Oldest`](Self::Oldest)`(1)` |
/// | a batch that is accepted as a whole | the `n` oldest ones | [`Oldest`](Self::Oldest)`(n)` |
/// | an error reply that another attempt cannot change | refused | [`Rejected`](Self::Rejected) |
///
/// An error reply that another attempt may change ("try later") confirms nothing: return `None` for it, or let the decoder
/// fail, so that the outbox connects again and sends the message once more.
///
/// ```
/// use hangup::outbox::Processed;
///
/// /// Replies like "ok 17", "upto 17" and "no 17 unknown door".
/// fn meaning(reply: &str) -> Option<Processed> {
///     let (verb, rest) = reply.split_once(' ')?;
///     Some(match verb {
///         "ok" => Processed::One(rest.parse().ok()?),
///         "upto" => Processed::UpTo(rest.parse().ok()?),
///         "no" => {
///             let (id, why) = rest.split_once(' ')?;
///             Processed::Rejected(id.parse().ok()?, why.into())
///         }
///         _ => return None,
///     })
/// }
///
/// assert_eq!(meaning("ok 17"), Some(Processed::One(17)));
/// assert_eq!(meaning("no 17 unknown door"), Some(Processed::Rejected(17, "unknown door".into())));
/// assert_eq!(meaning("try again later"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Processed {
    /// The peer has processed the message with this id. If several messages have it, the oldest unconfirmed one
    /// counts.
    One(u64),
    /// The peer has processed every written message whose id is at most this one: for ids that grow.
    ///
    /// With [priorities](super::Builder::priority) messages are written out of the order of their ids. Then this means the message
    /// with this id, and all that were written before it on this connection. The peer must name the message that it has
    /// processed last, and not the highest id.
    UpTo(u64),
    /// The peer has processed this many of the messages that are written on this connection and not
    /// confirmed, in the order in which they were written: for replies without ids.
    Oldest(u64),
    /// The peer refuses the message with this id and will not accept it later either: its receipt
    /// resolves to [`Rejected`](super::UndeliveredReason::Rejected) with these words, and it is not sent again.
    Rejected(u64, Arc<str>),
}

/// What confirmed a message.
///
/// ```
/// use hangup::outbox::{ConfirmedBy, Outbox};
/// use tokio::net::{TcpListener, TcpStream};
/// use tokio_util::codec::LinesCodec;
///
/// # #[cfg(target_os = "linux")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let outbox = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new).spawn()?;
/// let receipt = outbox.send("door 7 opened").await?;
/// // No program accepts the connection: the peer's kernel alone confirms.
/// assert_eq!(receipt.await?.confirmed_by(), ConfirmedBy::Tcp);
/// # Ok(())
/// # }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfirmedBy {
    /// The peer's TCP acknowledged its last byte. The peer's program may not have read it.
    Tcp,
    /// A reply of the peer's program.
    Reply,
}
