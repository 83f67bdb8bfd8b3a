//! Dead letters that the store has failed to bury. Until they are buried they take its room.

use super::retry::{FIRST_RETRY, LAST_RETRY};
use std::mem;
use std::time::Duration;
use tokio::time::Instant;

/// At most this many are tried again. The next outbox on this store tries the other messages again.
const MAX: usize = 4096;

/// They are tried again all at once, ever later while that fails.
pub(super) struct Unburied {
    letters: Vec<(u64, String)>,
    due: Option<Instant>,
    retry: Duration,
}

impl Unburied {
    pub(super) fn new() -> Self {
        Self {
            letters: Vec::new(),
            due: None,
            retry: FIRST_RETRY,
        }
    }

    /// When to try again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes them out if it is time.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(u64, String)> {
        match self.due {
            Some(due) if due <= now => self.take(),
            _ => Vec::new(),
        }
    }

    pub(super) fn take(&mut self) -> Vec<(u64, String)> {
        self.due = None;
        mem::take(&mut self.letters)
    }

    /// Keeps those that failed just now.
    pub(super) fn put_back(&mut self, mut failed: Vec<(u64, String)>, now: Instant) {
        if failed.is_empty() {
            if self.letters.is_empty() {
                self.retry = FIRST_RETRY;
            }
            return;
        }
        self.letters.append(&mut failed);
        self.letters.truncate(MAX);
        if self.due.is_none() {
            self.due = Some(now + self.retry);
            self.retry = LAST_RETRY.min(self.retry * 2);
        }
    }
}
