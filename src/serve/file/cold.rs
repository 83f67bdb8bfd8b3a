//! Parts of a file that are not in the page cache.

use crate::transfer::page_cache;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// How much is read into the page cache at a time. A client that leaves costs the disk at most this much, beside the
/// system's own read-ahead.
const FILL: usize = 256 << 10;

/// Keeps track of how far a file is in the page cache, and reads the rest into it on a thread for blocking work. A
/// sendfile(2) of a part that is not in the page cache would make the worker, and all of its connections, wait for the
/// disk.
#[derive(Debug, Default)]
pub(super) struct Cold {
    cached_until: u64,
    filling: Option<JoinHandle<io::Result<u64>>>,
}

impl Cold {
    /// Resolves to the number of bytes, at least one, of the `length` bytes from `at` on that can be sent without waiting
    /// for the disk.
    pub(super) fn poll_cached(
        &mut self,
        file: &Arc<File>,
        at: u64,
        length: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(filling) = &mut self.filling {
                let filled = ready!(Pin::new(filling).poll(cx));
                self.filling = None;
                self.cached_until = filled??;
            }
            if let Some(cached) = self
                .cached_until
                .checked_sub(at)
                .filter(|cached| *cached > 0)
            {
                return Poll::Ready(Ok(length.min(usize::try_from(cached).unwrap_or(length))));
            }
            match page_cache::cached(file, at, length)? {
                0 => {
                    let file = file.clone();
                    let fill = move || page_cache::fill(&file, at, FILL);
                    self.filling = Some(tokio::task::spawn_blocking(fill));
                }
                cached => self.cached_until = at + cached as u64,
            }
        }
    }
}
