//! What an exchange, its guard and its futures share.

use super::gone_reason::GoneReason;
use crate::monitor::Monitor;
use crate::state::{Closed, DetectedBy, Event, HalfClose, SharedState};
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// What is known about one request.
pub(super) struct Request {
    pub(super) monitor: Monitor,
    /// The request's own: it is over with the guard.
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

    /// The request is over, for `reason` if the connection is not over before.
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
