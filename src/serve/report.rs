//! Reports the use of a limit to the program's callback, the log and the metrics.

use super::{LimitEvent, LimitReason};
use crate::observe::call_foreign;
use crate::state::sync::{Mutex, lock};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// The log gets at most one warning for each reason in this time, so that a hostile peer cannot fill it.
const LOG_EVERY: Duration = Duration::from_secs(10);

type OnLimit = dyn Fn(&LimitEvent) + Send + Sync;

/// Counts each use of a limit, and passes it on.
#[derive(Default)]
pub(super) struct Report {
    pub(super) on_limit: Option<Box<OnLimit>>,
    reasons: Mutex<HashMap<LimitReason, Line>>,
}

#[derive(Default)]
struct Line {
    count: u64,
    /// The count at the last warning, and its time.
    logged: Option<(u64, Instant)>,
}

impl Report {
    /// A limit was reached: counts it, calls the program's handler, and logs a warning if one is due.
    pub(super) fn limit(&self, reason: LimitReason, peer: Option<SocketAddr>) {
        let unlogged = self.count(reason);
        // The recorder, the subscriber and the callback are foreign code and may panic. The server's loop is a caller.
        #[cfg(feature = "metrics")]
        call_foreign(|| crate::observe::metrics::limit(reason.name()));
        #[cfg(feature = "tracing")]
        call_foreign(|| log(reason, peer, unlogged));
        #[cfg(not(feature = "tracing"))]
        let _ = unlogged;
        if let Some(on_limit) = &self.on_limit {
            call_foreign(|| on_limit(&LimitEvent { reason, peer }));
        }
    }

    /// Counts one more use. Returns the number of uses since the last warning, if the next warning is due.
    fn count(&self, reason: LimitReason) -> Option<u64> {
        let mut reasons = lock(&self.reasons);
        let line = reasons.entry(reason).or_default();
        line.count += 1;
        if reason.is_usual() {
            return None;
        }
        let now = Instant::now();
        let logged = match line.logged {
            Some((_, at)) if now.duration_since(at) < LOG_EVERY => return None,
            Some((count, _)) => count,
            None => 0,
        };
        line.logged = Some((line.count, now));
        Some(line.count - logged)
    }

    /// How often each limit was used.
    pub(super) fn counts(&self) -> Vec<(LimitReason, u64)> {
        let reasons = lock(&self.reasons);
        let mut counts: Vec<_> = reasons
            .iter()
            .map(|(reason, line)| (*reason, line.count))
            .collect();
        counts.sort_by_key(|(reason, _)| reason.name());
        counts
    }
}

/// A warning for the first of a while, and a debug event for each.
#[cfg(feature = "tracing")]
fn log(reason: LimitReason, peer: Option<SocketAddr>, unlogged: Option<u64>) {
    use ::tracing::field::display;
    let peer = peer.map(display);
    let name = reason.name();
    match unlogged {
        Some(count) => ::tracing::warn!(
            target: crate::observe::tracing::TARGET, limit = name, peer, count, "limit reached: {reason}",
        ),
        None => ::tracing::debug!(
            target: crate::observe::tracing::TARGET, limit = name, peer, "limit reached: {reason}",
        ),
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_gives_one_warning_in_a_while() {
        let report = Report::default();
        assert_eq!(report.count(LimitReason::HeadTimeout), Some(1));
        for _ in 0..1000 {
            assert_eq!(report.count(LimitReason::HeadTimeout), None);
        }
        assert_eq!(
            report.count(LimitReason::UriLength),
            Some(1),
            "another reason"
        );
        assert_eq!(report.count(LimitReason::KeepAliveTimeout), None);
        tokio::time::advance(LOG_EVERY).await;
        assert_eq!(report.count(LimitReason::HeadTimeout), Some(1001));
        assert_eq!(
            report.counts(),
            [
                (LimitReason::HeadTimeout, 1002),
                (LimitReason::KeepAliveTimeout, 1),
                (LimitReason::UriLength, 1),
            ]
        );
    }
}
