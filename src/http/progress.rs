//! The progress of one response.

use crate::state::AtomicU64;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Counts what the client takes of a response body, for the task that enforces a stall policy.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// HTTP has a part of the body and has not asked for the next one, so the response waits for the client.
    waits: AtomicBool,
    /// What the client has taken: bytes, or items of a queue.
    taken: AtomicU64,
}

impl Progress {
    /// HTTP asks for the next part, so the client has taken the last one, of `amount`.
    pub(crate) fn asked(&self, amount: usize) {
        self.waits.store(false, Relaxed);
        self.take(amount as u64);
    }

    /// The client has taken `amount`.
    pub(crate) fn take(&self, amount: u64) {
        self.taken.fetch_add(amount, Relaxed);
    }

    /// HTTP has received a part, or could ask for the first one.
    pub(crate) fn handed(&self) {
        self.waits.store(true, Relaxed);
    }

    /// Whether the response waits for the client.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    /// What the client has taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }
}
