//! What an outbox carries, and how much it matters.

use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;

/// What an outbox carries: something with a size, that can be cloned for the encoder.
///
/// The outbox keeps the message until it is confirmed, and hands a clone of it to the encoder each time
/// that it is written. So `Clone` should be cheap: [`Bytes`] and `Arc<..>` share, a `Vec` copies.
///
/// ```
/// use hangup::outbox::Message;
///
/// #[derive(Clone)]
/// struct Event {
///     number: u64,
///     text: String,
/// }
///
/// impl Message for Event {
///     fn size(&self) -> usize {
///         8 + self.text.len()
///     }
/// }
///
/// assert_eq!(Event { number: 1, text: "started".into() }.size(), 15);
/// ```
pub trait Message: Clone + Send + 'static {
    /// About how many bytes it takes, in memory and on the wire. The capacity counts these.
    ///
    /// It is asked once, when the message is sent.
    fn size(&self) -> usize;
}

macro_rules! bytes_like {
    ($($type:ty),*) => {$(
        impl Message for $type {
            fn size(&self) -> usize {
                self.len()
            }
        }
    )*};
}

bytes_like!(
    Bytes,
    BytesMut,
    Vec<u8>,
    Box<[u8]>,
    Arc<[u8]>,
    &'static [u8],
    String,
    Box<str>,
    Arc<str>,
    &'static str
);

/// Whether a message must arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Importance {
    /// Kept until it is confirmed, and sent again after each loss of the connection.
    #[default]
    Important,
    /// Sent at most once, and only if it is written within its time.
    ///
    /// While there is no connection it takes its part of the [capacity](super::Builder::capacity) until its
    /// time is over, also from important messages: a `ttl` of hours can fill an outbox for hours.
    ///
    /// After `ttl` it is dropped unless it was written. Once written it is not sent again: if the
    /// connection is lost before it is confirmed, nobody knows whether it arrived, and its receipt says
    /// [`Reason::Unconfirmed`](super::Reason::Unconfirmed).
    BestEffort {
        /// For how long it is worth being sent; counted from its acceptance.
        ttl: Duration,
    },
}
