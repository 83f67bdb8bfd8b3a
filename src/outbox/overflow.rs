//! What happens to messages when the outbox is full.

/// What an outbox does with a message for which it has no room. See
/// [`Builder::overflow`](super::Builder::overflow).
///
/// | | `send` | `try_send` | a receipt of a dropped message |
/// |---|---|---|---|
/// | `Wait` | waits | refuses | |
/// | `Refuse` | refuses | refuses | |
/// | `DropOldest` | accepts | accepts | the oldest message's: `Overflowed` |
/// | `DropNewest` | accepts | accepts | its own: `Overflowed` |
///
/// A message that is larger than the whole capacity is refused in each case, with
/// [`TooLarge`](super::RefusedReason::TooLarge).
///
/// An important message of a [durable](super::Builder::durable) outbox goes to the store when memory has no room for
/// it. The outbox is full for it when the store fails with [`QuotaExceeded`](std::io::ErrorKind::QuotaExceeded), as
/// `DiskStore` does beyond `StoreOptions::disk_capacity`.
///
/// ```
/// use hangup::outbox::{Outbox, Overflow, UndeliveredReason};
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
///     .capacity(1024, 1)
///     .overflow(Overflow::DropNewest)
///     .spawn()?;
/// drop(outbox.send("the first alarm").await?);
/// let second = outbox.send("the same alarm again").await?;
/// assert_eq!(*second.await.unwrap_err().reason(), UndeliveredReason::Overflowed);
/// assert_eq!(outbox.status().queued, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// [`send`](super::Outbox::send) waits for room, [`try_send`](super::Outbox::try_send) refuses.
    #[default]
    Wait,
    /// Both refuse with [`Full`](super::RefusedReason::Full).
    Refuse,
    /// The oldest messages are dropped, important ones too: first those that are not written on the present
    /// connection. Their receipts resolve to [`Overflowed`](super::UndeliveredReason::Overflowed).
    ///
    /// A durable outbox drops a new best-effort message while important ones are only in the store: those come
    /// before it.
    ///
    /// With [priorities](super::Builder::priority) messages of the lowest priority are dropped first. The new message is dropped if
    /// all others are more urgent.
    DropOldest,
    /// The new message is dropped. Its receipt resolves to
    /// [`Overflowed`](super::UndeliveredReason::Overflowed).
    DropNewest,
}
