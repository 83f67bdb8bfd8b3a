//! The future that resolves when a stream is over.

use super::keyed_list::Key;
use super::shared::{AnyState, SharedState};
use crate::errors::CloseReason;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Future of [`MonitoredStream::closed`](crate::MonitoredStream::closed) and
/// [`Monitor::closed`](crate::Monitor::closed).
///
/// It resolves to the [`CloseReason`], at once if the stream is over already, and again if it is
/// polled again. It borrows nothing, keeps no socket open, and may be moved to any task or thread; the
/// stream's drop resolves it with [`CloseReason::Dropped`], so it never waits for ever.
///
/// # Cancel safety
///
/// It may be dropped and made anew at any time: nothing is lost. In a loop around `select!` it is
/// cheaper to make it once and to pass `&mut closed`.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Closed {
    shared: Arc<AnyState>,
    /// The place of our waker in the list of the state.
    key: Option<Key>,
}

impl Closed {
    pub(crate) fn new(shared: Arc<AnyState>) -> Self {
        Self { shared, key: None }
    }

    fn state(&self) -> &SharedState {
        (*self.shared).as_ref()
    }

    /// Whether the stream is over. One atomic load.
    pub(crate) fn is_over(&self) -> bool {
        self.state().is_closed()
    }

    /// The reason, if the stream is over. One atomic load while it is not.
    #[cfg(feature = "codec")]
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        self.state().close_reason()
    }
}

impl Future for Closed {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = &mut *self;
        (*this.shared)
            .as_ref()
            .poll_closed(&mut this.key, cx.waker())
    }
}

impl Clone for Closed {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.state().forget(key);
        }
    }
}

impl fmt::Debug for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed")
            .field("reason", &self.state().close_reason())
            .finish()
    }
}
