//! Messages, and how much they matter.

use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;

/// A message of an outbox: it has a size, and it can be cloned.
///
/// The outbox keeps the message until it is confirmed, and passes a clone to the encoder for each attempt. `Clone`
/// should be cheap: clones of [`Bytes`] and `Arc<..>` share their bytes, while a `Vec` copies them. `clone`
/// must not call the outbox, because it may run under its lock. A `clone` that panics ends the outbox: all receipts
/// resolve to [`TaskGone`](super::UndeliveredReason::TaskGone), and a store keeps the messages.
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
    /// The approximate size of the message in bytes, in memory and on the wire.
    /// [`Builder::capacity`](super::Builder::capacity) counts these sizes. It must not change while the outbox holds the
    /// message.
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
///
/// | | kept in a store | sent again after a loss | given up |
/// |---|---|---|---|
/// | `Important` | yes | yes | never |
/// | `ImportantFor` | yes | yes | `max_age` after `send` |
/// | `BestEffort` | no | no | `ttl` after `send`, or when the connection is lost after it was written |
///
/// ```
/// use hangup::outbox::Importance;
/// use std::time::Duration;
///
/// /// Reports of a robot.
/// enum Report {
///     Collision,
///     Arrival,
///     Position,
/// }
///
/// fn importance(report: &Report) -> Importance {
///     match report {
///         Report::Collision => Importance::Important,
///         // After an hour nobody needs it.
///         Report::Arrival => Importance::important_for(Duration::from_secs(3600)),
///         // The next one comes in 100 ms.
///         Report::Position => Importance::BestEffort { ttl: Duration::from_millis(300) },
///     }
/// }
///
/// assert_eq!(importance(&Report::Collision), Importance::default());
/// # assert_ne!(importance(&Report::Arrival), importance(&Report::Position));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Importance {
    /// The outbox keeps the message until it is confirmed, and sends it again after each loss of the
    /// connection.
    #[default]
    Important,
    /// As [`Important`](Self::Important), but no longer than `max_age` after `send`. Then the receipt
    /// resolves to [`Expired`](super::UndeliveredReason::Expired), or to
    /// [`Unconfirmed`](super::UndeliveredReason::Unconfirmed) if the message was written.
    ///
    /// This also holds for a message that is only in the store. A store does not keep the age: after a restart the message has
    /// no limit.
    #[non_exhaustive]
    ImportantFor {
        /// How long the outbox tries.
        max_age: Duration,
    },
    /// The outbox sends the message at most once, and only if it is written within `ttl`.
    ///
    /// When `ttl` is over, or the connection is lost after the message was written, its receipt resolves to
    /// [`Expired`](super::UndeliveredReason::Expired) or
    /// [`Unconfirmed`](super::UndeliveredReason::Unconfirmed). Until then it takes its part of the
    /// [capacity](super::Builder::capacity), also from important messages.
    BestEffort {
        /// How long it is worth sending, from `send` on.
        ttl: Duration,
    },
}

impl Importance {
    /// [`ImportantFor`](Self::ImportantFor) this time.
    ///
    /// ```
    /// use hangup::outbox::Importance;
    /// use std::time::Duration;
    ///
    /// let importance = Importance::important_for(Duration::from_secs(60));
    /// assert_ne!(importance, Importance::Important);
    /// ```
    pub const fn important_for(max_age: Duration) -> Self {
        Self::ImportantFor { max_age }
    }

    /// For how long, if it has a limit.
    pub(crate) fn limit(self) -> Option<Duration> {
        match self {
            Self::Important => None,
            Self::ImportantFor { max_age: limit } | Self::BestEffort { ttl: limit } => Some(limit),
        }
    }

    pub(crate) fn is_best_effort(self) -> bool {
        matches!(self, Self::BestEffort { .. })
    }
}
