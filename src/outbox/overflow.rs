//! What happens to messages when the outbox is full.

/// What an outbox does with a message for which it has no room. See
/// [`Builder::overflow`](super::Builder::overflow).
///
/// An important message of a [durable](super::Builder::durable) outbox goes to the store when memory has no room for
/// it. The outbox is full for it when the store fails with [`QuotaExceeded`](std::io::ErrorKind::QuotaExceeded), as
/// `DiskStore` does beyond `StoreOptions::disk_capacity`.
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
    DropOldest,
    /// The new message is dropped. Its receipt resolves to
    /// [`Overflowed`](super::UndeliveredReason::Overflowed).
    DropNewest,
}
