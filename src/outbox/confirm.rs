//! What counts as a confirmation.

use super::processed::{ConfirmedBy, Processed};
use super::user_code;
use bytes::BytesMut;
use std::error::Error;
use std::fmt;
use std::io;
use tokio_util::codec::Decoder;

/// What counts as the confirmation of a message. The outbox forgets a message when it is confirmed.
///
/// | the peer | choose |
/// |---|---|
/// | replies to each message, or to groups of them | [`by_peer`](Self::by_peer) if the messages have ids, else [`by_number`](Self::by_number) |
/// | sends nothing, and losing what it had not read when it crashed is acceptable | [`Acknowledged`](Self::Acknowledged) |
/// | sends nothing, and nothing may be lost | no outbox can help: the protocol needs replies |
///
/// ```
/// use hangup::outbox::{Confirm, Outbox};
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
///     .confirm(Confirm::Acknowledged) // the default
///     .spawn()?;
/// drop(outbox.try_send("door opened").unwrap());
/// assert_eq!(outbox.status().queued, 1); // nobody listens there
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
pub enum Confirm<T> {
    /// A reply of the peer's program names the message.
    ///
    /// Each message is delivered at least once, whatever crashes, and exactly once if the peer drops ids that it has
    /// already processed.
    ByPeer(ByPeer<T>),
    /// The peer's TCP has acknowledged every byte of the message.
    ///
    /// This needs nothing from the peer's program, and proves nothing about it. Bytes that TCP has acknowledged and the
    /// program has not read are lost if the program crashes or closes the connection. A load balancer without a back end
    /// acknowledges everything. The outbox reads and discards the bytes that the peer sends.
    ///
    /// It needs a stream whose acknowledged bytes are known, see
    /// [`Transfer::acknowledged`](crate::Transfer::acknowledged): TCP on Linux, or TLS over a monitored
    /// TCP stream, given as [`Connection::over`](super::Connection::over). With any other stream the outbox
    /// gives up with [`Unsupported`](io::ErrorKind::Unsupported) before it writes a byte. If `connect` itself writes
    /// something, such as a login, it must first wrap the socket in a [`MonitoredStream`](crate::MonitoredStream), and
    /// write through that.
    Acknowledged,
}

impl<T> Confirm<T> {
    /// [`Confirm::ByPeer`] with ids that the messages carry, see [`ByPeer::new`].
    ///
    /// ```
    /// use hangup::outbox::{Confirm, Processed};
    /// use tokio_util::codec::LinesCodec;
    ///
    /// // Replies like "ok 17" and "no 17 unknown door".
    /// let confirm = Confirm::by_peer(
    ///     |message: &(u64, String)| message.0,
    ///     || LinesCodec::new_with_max_length(80),
    ///     |line: String| match line.split_once(' ')? {
    ///         ("ok", id) => Some(Processed::One(id.parse().ok()?)),
    ///         ("no", rest) => {
    ///             let (id, why) = rest.split_once(' ')?;
    ///             Some(Processed::Rejected(id.parse().ok()?, why.into()))
    ///         }
    ///         _ => None,
    ///     },
    /// );
    /// assert_eq!(format!("{confirm:?}"), "ByPeer");
    /// ```
    pub fn by_peer<D>(
        id: impl Fn(&T) -> u64 + Send + Sync + 'static,
        decoder: impl FnMut() -> D + Send + 'static,
        meaning: impl FnMut(D::Item) -> Option<Processed> + Send + 'static,
    ) -> Self
    where
        D: Decoder + Send + 'static,
        D::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::ByPeer(ByPeer::new(id, decoder, meaning))
    }

    /// [`Confirm::ByPeer`] whose ids are the numbers of the outbox, see [`Envelope`](super::Envelope).
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use hangup::outbox::{Confirm, Envelope, Outbox, Processed};
    /// use std::io;
    /// use tokio_util::codec::{Encoder, LinesCodec};
    ///
    /// /// Lines like "17 door opened".
    /// struct Numbered;
    ///
    /// impl Encoder<Envelope<String>> for Numbered {
    ///     type Error = io::Error;
    ///
    ///     fn encode(&mut self, envelope: Envelope<String>, bytes: &mut BytesMut) -> io::Result<()> {
    ///         let line = format!("{} {}\n", envelope.number, envelope.message);
    ///         bytes.extend_from_slice(line.as_bytes());
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use futures::{SinkExt, StreamExt};
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # tokio::spawn(async move {
    /// #     let stream = listener.accept().await.unwrap().0;
    /// #     let mut lines = tokio_util::codec::Framed::new(stream, LinesCodec::new());
    /// #     while let Some(Ok(line)) = lines.next().await {
    /// #         lines.send(line.split(' ').next().unwrap()).await.unwrap();
    /// #     }
    /// # });
    /// let connect = move || tokio::net::TcpStream::connect(address);
    /// let outbox = Outbox::builder_with_envelope(connect, || Numbered)
    ///     .confirm(Confirm::by_number(
    ///         || LinesCodec::new_with_max_length(80),
    ///         |line: String| Some(Processed::One(line.parse().ok()?)),
    ///     ))
    ///     .spawn()?;
    /// let receipt = outbox.send("door opened".to_string()).await?;
    /// assert_eq!(receipt.number(), 0);
    /// receipt.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn by_number<D>(
        decoder: impl FnMut() -> D + Send + 'static,
        meaning: impl FnMut(D::Item) -> Option<Processed> + Send + 'static,
    ) -> Self
    where
        D: Decoder + Send + 'static,
        D::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::ByPeer(ByPeer {
            ids: Ids::Numbers,
            replies: replies(decoder, meaning),
        })
    }

    pub(crate) fn confirmed_by(&self) -> ConfirmedBy {
        match self {
            Self::Acknowledged => ConfirmedBy::Tcp,
            Self::ByPeer(_) => ConfirmedBy::Reply,
        }
    }

    /// How messages are named, and what reads the replies.
    pub(crate) fn into_parts(self) -> (Ids<T>, Option<Box<dyn Replies>>) {
        match self {
            Self::Acknowledged => (Ids::Numbers, None),
            Self::ByPeer(ByPeer { ids, replies }) => (ids, Some(replies)),
        }
    }
}

impl<T> fmt::Debug for Confirm<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acknowledged => "Acknowledged",
            Self::ByPeer(_) => "ByPeer",
        })
    }
}

/// How the peer's replies are read, see [`ByPeer::new`].
///
/// The decoder of the replies is made anew for each connection, so a reply that was cut off by the end of a connection
/// cannot spoil the next one:
///
/// ```
/// use hangup::outbox::{ByPeer, Confirm, Processed};
/// use tokio_util::codec::LengthDelimitedCodec;
///
/// // Replies of eight bytes: the id of the last message that was processed.
/// let meaning = |reply: tokio_util::bytes::BytesMut| {
///     let id: [u8; 8] = reply[..].try_into().ok()?;
///     Some(Processed::UpTo(u64::from_be_bytes(id)))
/// };
/// let by_peer = ByPeer::new(|message: &(u64, String)| message.0, LengthDelimitedCodec::new, meaning);
/// let confirm = Confirm::ByPeer(by_peer);
/// assert_eq!(format!("{confirm:?}"), "ByPeer");
/// ```
pub struct ByPeer<T> {
    ids: Ids<T>,
    replies: Box<dyn Replies>,
}

impl<T> ByPeer<T> {
    /// Creates the reader of the peer's replies.
    ///
    /// * `id` returns the id of a message. It is called once, when the message is sent.
    /// * `decoder` makes the decoder of the peer's replies, a new one for each connection. Only
    ///   [`decode`](Decoder::decode) is called, never [`decode_eof`](Decoder::decode_eof): a reply that is cut off by
    ///   the end of the connection does not count. An error or a panic of the decoder ends the connection, and the
    ///   outbox connects again.
    /// * `meaning` returns what a reply confirms, or `None` for a reply that confirms nothing. The outbox's task
    ///   calls it, so it must not block.
    ///
    /// ```
    /// use hangup::outbox::{ByPeer, Processed};
    /// use tokio_util::codec::LinesCodec;
    ///
    /// // Replies like "ok 17", in any order.
    /// let by_peer = ByPeer::new(
    ///     |message: &(u64, String)| message.0,
    ///     || LinesCodec::new_with_max_length(80),
    ///     |line: String| Some(Processed::One(line.strip_prefix("ok ")?.parse().ok()?)),
    /// );
    /// assert_eq!(format!("{by_peer:?}"), "ByPeer");
    /// ```
    pub fn new<D>(
        id: impl Fn(&T) -> u64 + Send + Sync + 'static,
        decoder: impl FnMut() -> D + Send + 'static,
        meaning: impl FnMut(D::Item) -> Option<Processed> + Send + 'static,
    ) -> Self
    where
        D: Decoder + Send + 'static,
        D::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self {
            ids: Ids::OfMessage(Box::new(id)),
            replies: replies(decoder, meaning),
        }
    }
}

impl<T> fmt::Debug for ByPeer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByPeer")
    }
}

/// What the peer calls a message.
pub(crate) enum Ids<T> {
    /// The number of the outbox.
    Numbers,
    OfMessage(Box<dyn Fn(&T) -> u64 + Send + Sync>),
}

/// The reader of replies, over all connections.
pub(crate) trait Replies: Send {
    /// A new connection begins.
    fn renew(&mut self);
    /// Decodes the next reply in `input` into `processed`. `false` if more input is needed.
    fn next(&mut self, input: &mut BytesMut, processed: &mut Vec<Processed>) -> io::Result<bool>;
}

fn replies<D>(
    mut decoder: impl FnMut() -> D + Send + 'static,
    meaning: impl FnMut(D::Item) -> Option<Processed> + Send + 'static,
) -> Box<dyn Replies>
where
    D: Decoder + Send + 'static,
    D::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Box::new(Decoded {
        decoder: decoder(),
        renew: decoder,
        meaning,
    })
}

struct Decoded<D, R, M> {
    decoder: D,
    renew: R,
    meaning: M,
}

impl<D, R, M> Replies for Decoded<D, R, M>
where
    D: Decoder + Send,
    D::Error: Into<Box<dyn Error + Send + Sync>>,
    R: FnMut() -> D + Send,
    M: FnMut(D::Item) -> Option<Processed> + Send,
{
    fn renew(&mut self) {
        self.decoder = (self.renew)();
    }

    fn next(&mut self, input: &mut BytesMut, processed: &mut Vec<Processed>) -> io::Result<bool> {
        let (decoder, meaning) = (&mut self.decoder, &mut self.meaning);
        user_code::guard("the decoder of replies", || {
            let Some(reply) = decoder
                .decode(input)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
            else {
                return Ok(false);
            };
            processed.extend(meaning(reply));
            Ok(true)
        })
    }
}
