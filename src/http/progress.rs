//! How far one response has got.

use crate::state::AtomicU64;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What a response's body tells whoever judges its client.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// A part of the body was handed to HTTP, and the next was not asked for: the response waits for the
    /// client.
    waits: AtomicBool,
    /// What the client's windows have let through.
    taken: AtomicU64,
}

impl Progress {
    /// HTTP asks for the next part: the last one, of `amount`, is through.
    pub(crate) fn asked(&self, amount: usize) {
        self.waits.store(false, Relaxed);
        self.taken.fetch_add(amount as u64, Relaxed);
    }

    /// HTTP has got a part, or could ask for the first one.
    pub(crate) fn handed(&self) {
        self.waits.store(true, Relaxed);
    }

    /// Whether the response waits for the client.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    /// What the client's windows have let through.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }
}
