//! How much has been done so far.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the workers count.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) streams: AtomicU64,
    /// Connections to the server.
    pub(crate) clients: AtomicU64,
    /// What outboxes have accepted.
    pub(crate) messages: AtomicU64,
}

impl Counts {
    pub(crate) fn now(&self) -> Done {
        Done {
            streams: self.streams.load(Relaxed),
            clients: self.clients.load(Relaxed),
            messages: self.messages.load(Relaxed),
        }
    }
}

/// The counts of one moment, or of the time between two.
#[derive(Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) streams: u64,
    pub(crate) clients: u64,
    pub(crate) messages: u64,
}

impl Done {
    pub(crate) fn since(self, then: Self) -> Self {
        Self {
            streams: self.streams - then.streams,
            clients: self.clients - then.clients,
            messages: self.messages - then.messages,
        }
    }

    /// Whether each part has done something.
    pub(crate) fn is_complete(self) -> bool {
        self.streams > 0 && self.clients > 0 && self.messages > 0
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            streams,
            clients,
            messages,
        } = self;
        write!(
            f,
            "{streams} streams, {clients} HTTP clients, {messages} messages"
        )
    }
}
