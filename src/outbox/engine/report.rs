//! What an operator sees of an outbox: metrics, and events of `tracing`.

#[cfg(feature = "metrics")]
use crate::observe::{OutboxValues, call_foreign};
use crate::outbox::status::{Link, OutboxStatus};
use crate::outbox::unsendable::UnsendableReason;
#[cfg(feature = "metrics")]
use crate::state::sync::{Mutex, lock};
use std::io;

/// Reports under the name of the outbox. Without the features `metrics` and `tracing` it does nothing.
#[derive(Debug)]
pub(crate) struct OutboxReport {
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    name: String,
    #[cfg(feature = "metrics")]
    values: Mutex<Values>,
}

/// The values that were reported.
#[cfg(feature = "metrics")]
#[derive(Debug, Default)]
struct Values {
    /// Those of the last report: counters get the difference.
    last: OutboxValues,
    /// A report is under way. Its recorder may ask for another one.
    is_reporting: bool,
    /// It was asked for another one.
    again: bool,
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
            values: Mutex::default(),
        }
    }

    /// Reports the present values. `read` returns the status, and whether the outbox has ended; an outbox that has
    /// ended holds no messages.
    ///
    /// One report is made at a time, so that they have an order, and under no lock. A call that comes meanwhile returns `false`
    /// without a reading; the values are read again after the present report.
    pub(crate) fn status(&self, read: impl Fn() -> (OutboxStatus, bool)) -> bool {
        #[cfg(not(feature = "metrics"))]
        let _ = read();
        #[cfg(feature = "metrics")]
        {
            let mut values = lock(&self.values);
            values.again = true;
            if values.is_reporting {
                return false;
            }
            values.is_reporting = true;
            while std::mem::take(&mut values.again) {
                let before = values.last.clone();
                drop(values);
                let (status, is_over) = read();
                let now = reported(&status, is_over);
                if now != before {
                    call_foreign(|| crate::observe::metrics::outbox(&self.name, &before, &now));
                }
                values = lock(&self.values);
                values.last = now;
            }
            values.is_reporting = false;
        }
        true
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

#[cfg(feature = "metrics")]
fn reported(status: &OutboxStatus, is_over: bool) -> OutboxValues {
    let held = u64::from(!is_over);
    OutboxValues {
        messages: held * status.queued as u64,
        bytes: held * status.bytes as u64,
        disk_bytes: held * status.on_disk_bytes,
        oldest: status
            .oldest
            .filter(|_| !is_over)
            .map_or(0.0, |age| age.as_secs_f64()),
        connected: status.link == Link::Connected,
        connects: status.connects,
        delivered: status.delivered,
        resent: status.resent,
        dropped: status.dropped,
        rejected: status.rejected,
        dead_letters: status.unsendable,
    }
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;
    use crate::state::AtomicU64;
    use ::metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };
    use std::sync::atomic::Ordering::Relaxed;

    /// Uses the outbox that reports to it.
    struct UsesOutbox<'a> {
        report: &'a OutboxReport,
        calls: AtomicU64,
    }

    impl Recorder for UsesOutbox<'_> {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            assert!(!self.report.status(|| unreachable!("a report is under way")));
            self.calls.fetch_add(1, Relaxed);
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    /// A recorder that asked for the outbox waited for itself.
    #[test]
    fn a_recorder_may_use_the_outbox() {
        let report = OutboxReport::new("test".to_owned());
        let recorder = UsesOutbox {
            report: &report,
            calls: AtomicU64::new(0),
        };
        let reads = AtomicU64::new(0);
        ::metrics::with_local_recorder(&recorder, || {
            assert!(report.status(|| {
                let delivered = reads.fetch_add(1, Relaxed).min(1) + 1;
                (OutboxStatus::connected(delivered), false)
            }));
        });
        assert_eq!(reads.into_inner(), 3, "once more after each report");
        assert_eq!(lock(&report.values).last.delivered, 2);
        assert!(recorder.calls.into_inner() >= 2);
    }
}
