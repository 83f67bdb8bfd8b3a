//! How much memory the program has taken, at the most.

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The bytes that are allocated now.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    // The two are not read at once, and other threads allocate.
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

/// The most that was allocated since it was made, at any moment at which it looked.
pub(crate) struct Peak {
    before: usize,
    most: usize,
}

impl Peak {
    pub(crate) fn new() -> Self {
        let before = allocated();
        Self {
            before,
            most: before,
        }
    }

    pub(crate) fn look(&mut self) {
        self.most = self.most.max(allocated());
    }

    pub(crate) fn bytes(&self) -> usize {
        self.most - self.before
    }
}

/// The most pages that the process has had at a time, in KiB, as Linux tells.
pub(crate) fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
