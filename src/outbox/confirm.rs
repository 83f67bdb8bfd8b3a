//! What counts as a confirmation.

use super::engine::shared::NameOf;
use super::failure;
use bytes::BytesMut;
use std::error::Error;
use std::fmt;
use std::io;
use tokio_util::codec::Decoder;

/// What counts as a confirmation of a message: after it the outbox forgets the message.
#[non_exhaustive]
pub enum Confirm<T> {
    /// The peer's TCP has acknowledged every byte of it.
    ///
    /// Needs nothing from the peer's program, and does not say that the program has read it: if the
    /// program dies, or closes with the message unread, what TCP acknowledged is lost. What the peer
    /// sends is read and dropped.
    ///
    /// Needs a stream of which it is known what is acknowledged, see
    /// [`Transfer::acknowledged`](crate::Transfer::acknowledged): TCP, or TLS over a monitored TCP stream,
    /// on Linux. With another one the outbox gives up at once, with
    /// [`Unsupported`](io::ErrorKind::Unsupported). A `connect` that sends something itself, a login for
    /// instance, wraps the socket in a [`MonitoredStream`](crate::MonitoredStream) first and sends through that.
    Acknowledged,
    /// A reply of the peer's program names it.
    ///
    /// At-least-once, whatever dies; exactly-once for a peer that drops the ids that it has seen.
    ByPeer(ByPeer<T>),
}

impl<T> Confirm<T> {
    /// [`Confirm::ByPeer`], see [`ByPeer::new`].
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
}

impl<T> fmt::Debug for Confirm<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acknowledged => "Acknowledged",
            Self::ByPeer(_) => "ByPeer",
        })
    }
}

/// What a reply of the peer says that it has processed.
///
/// Ids that the outbox does not know, or has already seen confirmed, are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Processed {
    /// The message with this id. If several have it, the oldest one that is not confirmed yet.
    One(u64),
    /// Every written message whose id is at most this one: for ids that grow.
    UpTo(u64),
    /// So many of those written on this connection and not yet confirmed, the oldest first: for replies
    /// without ids, in the order of the messages.
    Oldest(u64),
}

/// How the peer's replies are read, see [`ByPeer::new`].
pub struct ByPeer<T> {
    /// Taken when the outbox is made.
    pub(crate) id: Option<NameOf<T>>,
    pub(crate) replies: Box<dyn Replies>,
}

impl<T> ByPeer<T> {
    /// * `id` names a message. It is asked once, when the message is sent.
    /// * `decoder` makes the decoder of the peer's replies, anew for each connection.
    /// * `meaning` says what a reply confirms; `None` for a reply that confirms nothing. It is called
    ///   from the outbox's task, and must not block.
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
    /// # drop(by_peer);
    /// ```
    pub fn new<D>(
        id: impl Fn(&T) -> u64 + Send + Sync + 'static,
        mut decoder: impl FnMut() -> D + Send + 'static,
        meaning: impl FnMut(D::Item) -> Option<Processed> + Send + 'static,
    ) -> Self
    where
        D: Decoder + Send + 'static,
        D::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let first = decoder();
        Self {
            id: Some(Box::new(id)),
            replies: Box::new(Decoded {
                decoder: first,
                renew: decoder,
                meaning,
            }),
        }
    }
}

impl<T> fmt::Debug for ByPeer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByPeer")
    }
}

/// The reader of replies, over all connections.
pub(crate) trait Replies: Send {
    /// A new connection begins.
    fn renew(&mut self);
    /// The next reply in `input`: `None` if more input is needed.
    #[allow(clippy::type_complexity)] // a reply, and what it says
    fn next(&mut self, input: &mut BytesMut, eof: bool) -> io::Result<Option<Option<Processed>>>;
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

    fn next(&mut self, input: &mut BytesMut, eof: bool) -> io::Result<Option<Option<Processed>>> {
        let item = if eof {
            self.decoder.decode_eof(input)
        } else {
            self.decoder.decode(input)
        };
        let item = item.map_err(|error| failure::io_error(error.into()))?;
        Ok(item.map(&mut self.meaning))
    }
}
