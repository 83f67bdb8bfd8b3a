//! How far the body of one HTTP/2 response has got.

use crate::state::AtomicU64;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What a response's body tells the task that sends it.
#[derive(Debug, Default)]
pub(super) struct StreamState {
    /// A part of the body was handed to hyper, and the next was not asked for: the stream waits for the
    /// client.
    waits: AtomicBool,
    /// The bytes that the client's windows have let through.
    sent: AtomicU64,
}

impl StreamState {
    /// hyper asks for the next part: the last one, of `bytes`, is through.
    pub(super) fn asked(&self, bytes: usize) {
        self.waits.store(false, Relaxed);
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    /// hyper has got a part.
    pub(super) fn handed(&self) {
        self.waits.store(true, Relaxed);
    }

    /// Whether the stream waits for the client.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    /// The bytes that the client's windows have let through.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}
