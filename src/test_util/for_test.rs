//! A monitor without a stream.

use super::remote::Remote;
use crate::monitor::Monitor;
use crate::state::HalfClose;
use crate::watcher::Socket;
use std::sync::Arc;

impl Monitor {
    /// A monitor without a stream, and the peer that closes it, for tests of handlers that take a monitor.
    ///
    /// It stays open until [`Remote::hang_up`], whatever is dropped. [`transfer`](Self::transfer) counts nothing, because
    /// there is no stream.
    ///
    /// ```
    /// use hangup::{CloseReason, Monitor};
    ///
    /// let (monitor, remote) = Monitor::for_test();
    /// let token = monitor.cancellation_token();
    /// assert!(!monitor.is_closed());
    /// remote.hang_up(CloseReason::PeerClosed);
    /// assert!(token.is_cancelled());
    /// ```
    #[must_use]
    pub fn for_test() -> (Self, Remote) {
        let shared = Arc::new(Socket::unwatched(HalfClose::default()));
        (Self::new(shared.clone()), Remote::new(shared))
    }
}
