//! Records the beginning and the end of each stream for `tracing` and `metrics`.
//!
//! A subscriber or a recorder is code that is not ours. It may do anything, even use the same stream. So it is called
//! without a lock, and after the tasks that wait for the close have been woken.

use super::end::{Bytes, End};
use super::foreign::call_foreign;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// Records one stream, from its creation to its close.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    /// `None` before [`begin`](Self::begin), and after [`end`](Self::end).
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    #[cfg(feature = "tracing")]
    origin: super::tracing::Origin,
}

impl Lifecycle {
    pub(crate) const RECORDED: bool = true;

    pub(crate) fn new() -> Self {
        Self {
            open: Mutex::new(None),
        }
    }

    /// Records the beginning. `peer` looks up the peer's address. `bytes` makes a function that returns the transferred
    /// bytes later.
    ///
    /// That function may own this value. `end` breaks the cycle, and the drop of a stream always calls it.
    #[cfg_attr(
        not(feature = "tracing"),
        expect(unused_variables, reason = "only the event carries them")
    )]
    pub(crate) fn begin<B>(
        &self,
        peer: impl FnOnce() -> Option<SocketAddr>,
        bytes: impl FnOnce() -> B,
    ) where
        B: Fn() -> Bytes + Send + Sync + 'static,
    {
        let open = Open {
            since: Instant::now(),
            #[cfg(feature = "tracing")]
            origin: super::tracing::Origin::new(peer, bytes()),
        };
        *self.lock() = Some(open);
        #[cfg(feature = "metrics")]
        call_foreign(super::metrics::opened);
    }

    /// Records the end, once.
    pub(crate) fn end(&self, end: &End<'_>) {
        let open = self.lock().take();
        // A stream whose creation failed has no beginning.
        let Some(open) = open else { return };
        let lasted = open.since.elapsed();
        // Two calls, so that the panic of one does not silence the other.
        #[cfg(feature = "metrics")]
        call_foreign(|| super::metrics::closed(end, lasted));
        #[cfg(feature = "tracing")]
        call_foreign(|| open.origin.report(end, lasted));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
