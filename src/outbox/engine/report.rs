//! What an operator sees of an outbox: metrics, and events of `tracing`.

#[cfg(feature = "metrics")]
use crate::observe::call_foreign;
use crate::outbox::status::{Link, OutboxStatus};
use crate::outbox::unsendable::UnsendableReason;
use std::io;
#[cfg(feature = "metrics")]
use std::sync::PoisonError;

/// Reports under the name of the outbox. Without the features `metrics` and `tracing` it does nothing.
#[derive(Debug)]
pub(crate) struct OutboxReport {
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    name: String,
    /// The values that were reported last: counters get the difference.
    #[cfg(feature = "metrics")]
    last: std::sync::Mutex<crate::observe::OutboxValues>,
}

/// Whether the status is published even if nobody subscribed to it.
pub(crate) const WANTS_STATUS: bool = cfg!(feature = "metrics");

#[cfg_attr(
    not(all(feature = "metrics", feature = "tracing")),
    allow(
        unused_variables,
        clippy::unused_self,
        reason = "without a feature there is nobody to report to"
    )
)]
impl OutboxReport {
    pub(crate) fn new(name: String) -> Self {
        Self {
            #[cfg(any(feature = "metrics", feature = "tracing"))]
            name,
            #[cfg(feature = "metrics")]
            last: std::sync::Mutex::default(),
        }
    }

    /// Reports the present values. `read` returns the status, and whether the outbox has ended; an outbox that has
    /// ended holds no messages.
    ///
    /// `read` is called under the lock of the last values, so concurrent reports are made in the order in which they
    /// read.
    pub(crate) fn status(&self, read: impl FnOnce() -> (OutboxStatus, bool)) {
        #[cfg(not(feature = "metrics"))]
        let _ = read();
        #[cfg(feature = "metrics")]
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let (status, over) = read();
            let held = u64::from(!over);
            let now = crate::observe::OutboxValues {
                messages: held * status.queued as u64,
                bytes: held * status.bytes as u64,
                disk_bytes: held * status.on_disk_bytes,
                oldest: status
                    .oldest
                    .filter(|_| !over)
                    .map_or(0.0, |age| age.as_secs_f64()),
                connected: status.link == Link::Connected,
                connects: status.connects,
                delivered: status.delivered,
                resent: status.resent,
                dropped: status.dropped,
                rejected: status.rejected,
                dead_letters: status.unsendable,
            };
            if now != *last {
                let before = std::mem::replace(&mut *last, now.clone());
                call_foreign(|| crate::observe::metrics::outbox(&self.name, &before, &now));
            }
        }
    }

    /// Reports a change of the connection: `info`, or `warn` if the outbox gave up.
    pub(crate) fn link(&self, link: &Link) {
        #[cfg(feature = "tracing")]
        {
            use crate::observe::tracing::TARGET;
            let name = &*self.name;
            match link {
                Link::Connecting { .. } | Link::Closed => {}
                Link::Connected => {
                    ::tracing::info!(target: TARGET, outbox = name, "outbox connected");
                }
                Link::Retrying {
                    attempt, reason, ..
                } => {
                    let kind = reason.name();
                    ::tracing::info!(
                        target: TARGET, outbox = name, reason = kind, attempt,
                        "outbox not connected: {reason}",
                    );
                }
                Link::GaveUp(why) => {
                    ::tracing::warn!(target: TARGET, outbox = name, "outbox gave up: {why}");
                }
            }
        }
    }

    /// Reports a message that was set aside.
    pub(crate) fn unsendable(&self, number: u64, reason: &UnsendableReason) {
        #[cfg(feature = "tracing")]
        ::tracing::warn!(
            target: crate::observe::tracing::TARGET, outbox = &*self.name, number,
            "message cannot be sent: {reason}",
        );
    }

    /// Reports a failed call of the store. `call` is the name of the method.
    pub(crate) fn store_failed(&self, call: &str, error: &io::Error) {
        #[cfg(feature = "tracing")]
        ::tracing::warn!(
            target: crate::observe::tracing::TARGET, outbox = &*self.name, call,
            "the outbox's store failed: {error}",
        );
    }
}
