//! The recorded life of one stream, for `tracing`'s subscriber and `metrics`' recorder.
//!
//! Both run code that is not ours, which may do anything: it may even ask for this very stream. So they are
//! called under no lock of ours, and after the tasks that wait for the end of the stream have been woken.

use super::end::{Bytes, End};
use super::foreign::call_foreign;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// Records one stream from its beginning to its close.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    /// `None` before the beginning, and after the end.
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

    /// Records the beginning. `peer` looks up the peer's address; `bytes` makes a function that counts the
    /// transferred bytes later.
    ///
    /// That function may own this value. The end breaks the cycle, and every stream ends when it is
    /// dropped.
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
        super::metrics::opened();
    }

    /// Records the end, once.
    pub(crate) fn end(&self, end: &End<'_>) {
        let open = self.lock().take();
        // A stream that could not be made never began.
        let Some(open) = open else { return };
        let lasted = open.since.elapsed();
        call_foreign(|| {
            #[cfg(feature = "metrics")]
            super::metrics::closed(end, lasted);
            #[cfg(feature = "tracing")]
            open.origin.report(end, lasted);
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
