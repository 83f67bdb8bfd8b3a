//! What happens to messages when the outbox is full.

/// What an outbox does with a message for which it has no room. See
/// [`Builder::overflow`](super::Builder::overflow).
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
    DropOldest,
    /// The new message is dropped. Its receipt resolves to
    /// [`Overflowed`](super::UndeliveredReason::Overflowed).
    DropNewest,
}
