//! The values that an outbox reports.

/// The state of an outbox in plain values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OutboxValues {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) disk_bytes: u64,
    /// In seconds.
    pub(crate) oldest: f64,
    pub(crate) connected: bool,
    pub(crate) connects: u64,
    pub(crate) delivered: u64,
    pub(crate) resent: u64,
    pub(crate) dropped: u64,
    pub(crate) rejected: u64,
    pub(crate) dead_letters: u64,
}
