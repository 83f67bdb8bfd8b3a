//! What the clients of a server have in use, all together and each address.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts what is in use, of a server or of one address.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Requests in progress.
    pub(super) requests: Counter,
    /// Files that a response has open.
    pub(super) files: Counter,
}

/// A number that has a limit.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicUsize);

impl Counter {
    /// Adds one. `false` if there are now more than `max`.
    pub(super) fn add(&self, max: usize) -> bool {
        self.0.fetch_add(1, Relaxed) < max
    }

    /// Takes back what [`add`](Self::add) has added, whatever that has returned.
    pub(super) fn subtract(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_the_maximum() {
        let counter = Counter::default();
        assert!(counter.add(2) && counter.add(2));
        assert!(!counter.add(2));
        counter.subtract();
        assert!(!counter.add(2), "two are left");
        counter.subtract();
        counter.subtract();
        assert!(counter.add(2));
        assert!(!Counter::default().add(0));
    }
}
