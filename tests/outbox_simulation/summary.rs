//! The figures of a history, or of many.

use std::time::Duration;

/// What a history was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Messages that have reached the peer.
    pub(crate) processed: u64,
    /// Those of them that its TCP has confirmed.
    pub(crate) acknowledged: u64,
    /// Messages that have reached it, each time.
    pub(crate) lines: u64,
    pub(crate) connections: u64,
    pub(crate) restarts: u64,
    pub(crate) crashes: u64,
    /// Steps at which messages were only in the store.
    pub(crate) paged: u64,
    /// Messages that were dropped for want of room.
    pub(crate) dropped: u64,
    /// Messages whose time was over.
    pub(crate) expired: u64,
    /// Messages that were set aside.
    pub(crate) set_aside: u64,
    /// Messages of sinks that were accepted.
    pub(crate) by_sinks: u64,
    /// How often an outbox gave up, and was resumed.
    pub(crate) resumed: u64,
    pub(crate) simulated: Duration,
    /// Histories that have failed.
    pub(crate) failed: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Self) {
        self.processed += other.processed;
        self.acknowledged += other.acknowledged;
        self.lines += other.lines;
        self.connections += other.connections;
        self.restarts += other.restarts;
        self.crashes += other.crashes;
        self.paged += other.paged;
        self.dropped += other.dropped;
        self.expired += other.expired;
        self.set_aside += other.set_aside;
        self.by_sinks += other.by_sinks;
        self.resumed += other.resumed;
        self.simulated += other.simulated;
        self.failed += other.failed;
    }
}
