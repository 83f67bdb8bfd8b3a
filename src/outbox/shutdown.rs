//! What a shutdown leaves.

use std::fmt;

/// What a [`shutdown`](super::Outbox::shutdown) leaves.
#[non_exhaustive]
pub struct Shutdown<T> {
    /// What could not be delivered, in the order in which it was sent. Receipts that are still held get a
    /// clone each.
    ///
    /// Some of it may have arrived without being confirmed.
    pub undelivered: Vec<T>,
}

impl<T> Shutdown<T> {
    /// Whether everything was delivered.
    pub fn is_complete(&self) -> bool {
        self.undelivered.is_empty()
    }
}

/// Without the messages.
impl<T> fmt::Debug for Shutdown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("undelivered", &self.undelivered.len())
            .finish()
    }
}
