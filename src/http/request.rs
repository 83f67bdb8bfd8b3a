//! The state that an exchange, its guard and its futures share.

use super::gone_reason::GoneReason;
use crate::monitor::Monitor;
use crate::state::{Closed, DetectedBy, Event, HalfClose, SharedState};
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// The state of one request.
pub(super) struct Request {
    pub(super) monitor: Monitor,
    /// The state of the request itself. It closes when the guard reports the end.
    request: Arc<SharedState>,
    /// Invariant 1: the first reason wins. Set before anybody is woken.
    reason: OnceLock<GoneReason>,
    pub(super) token: OnceLock<CancellationToken>,
}

impl Request {
    pub(super) fn new(monitor: &Monitor) -> Arc<Self> {
        Arc::new(Self {
            monitor: monitor.clone(),
            request: Arc::new(SharedState::new(HalfClose::Close)),
            reason: OnceLock::new(),
            token: OnceLock::new(),
        })
    }

    pub(super) fn request_closed(&self) -> Closed {
        Closed::new(self.request.clone())
    }

    pub(super) fn reason(&self) -> Option<GoneReason> {
        if let Some(reason) = self.reason.get() {
            return Some(reason.clone());
        }
        let reason = GoneReason::Connection(self.monitor.close_reason()?);
        Some(self.reason.get_or_init(|| reason).clone())
    }

    /// Ends the request with `reason`, unless the connection or the request has ended before.
    pub(super) fn end(&self, reason: GoneReason) {
        if self.reason().is_none() {
            self.reason.get_or_init(|| reason);
        }
        self.request.apply(Event::Dropped, DetectedBy::Us);
        if let Some(token) = self.token.get() {
            token.cancel();
        }
    }
}
