//! The account of one stream, for those who watch the program: `tracing`'s subscriber and `metrics`'
//! recorder.
//!
//! Both are code that is not ours and may do anything, ask for this very stream included. So they are
//! called under no lock of ours, and after those who wait for the stream's end have been woken.

use crate::event::HeardBy;
use crate::sync::{Mutex, lock};
use crate::{CloseReason, Transfer};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tokio::time::Instant;

/// One stream's account. It is open from the stream's beginning to its close.
#[derive(Debug)]
pub(crate) struct Account {
    entry: Mutex<Option<Entry>>,
}

#[derive(Debug)]
struct Entry {
    opened: Instant,
    #[cfg(feature = "tracing")]
    origin: crate::tracing::Origin,
}

/// The end of one stream.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) reason: &'a CloseReason,
    pub(crate) heard_by: HeardBy,
    pub(crate) lasted: Duration,
}

impl Account {
    pub(crate) const KEPT: bool = true;

    pub(crate) fn new() -> Self {
        Self {
            entry: Mutex::new(None),
        }
    }

    /// Opens the account. `peer` asks for the peer's address; `transfer` makes what asks later how much
    /// got through.
    ///
    /// What that owns may own the account: the close breaks the circle, and every stream closes when it
    /// is dropped.
    #[cfg_attr(
        not(feature = "tracing"),
        expect(unused_variables, reason = "only the event tells them")
    )]
    pub(crate) fn open<T>(
        &self,
        peer: impl FnOnce() -> Option<SocketAddr>,
        transfer: impl FnOnce() -> T,
    ) where
        T: Fn() -> Transfer + Send + Sync + 'static,
    {
        let entry = Entry {
            opened: Instant::now(),
            #[cfg(feature = "tracing")]
            origin: crate::tracing::Origin::new(peer, transfer()),
        };
        *lock(&self.entry) = Some(entry);
        #[cfg(feature = "metrics")]
        crate::metrics::opened();
    }

    /// Closes the account, and tells what it says.
    pub(crate) fn close(&self, reason: &CloseReason, heard_by: HeardBy) {
        let entry = lock(&self.entry).take();
        // It was never opened: the stream could not be made.
        let Some(entry) = entry else { return };
        let end = End {
            reason,
            heard_by,
            lasted: entry.opened.elapsed(),
        };
        foreign(|| {
            #[cfg(feature = "metrics")]
            crate::metrics::closed(&end);
            #[cfg(feature = "tracing")]
            entry.origin.tell(&end);
        });
    }
}

/// Calls code that is not ours. Its panic, which the panic hook has told of, goes no further: it would end
/// the watcher, and all that it watches.
pub(crate) fn foreign(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}
