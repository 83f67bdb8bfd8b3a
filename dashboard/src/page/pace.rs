//! How fast the responses under way go, from one snapshot to the next.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A rate is the mean of at least this time.
const WINDOW: Duration = Duration::from_secs(1);
/// A response that has not moved for so long stands still.
const STILL: Duration = Duration::from_secs(2);

/// A connection's number, and its response's.
type Id = (u64, u64);

#[derive(Default)]
pub(super) struct Paces {
    marks: HashMap<Id, Mark>,
}

struct Mark {
    at: Instant,
    bytes: u64,
    rate: u64,
    latest: (u64, u64),
    moved: Instant,
    seen: bool,
}

pub(super) struct Pace {
    /// Bytes a second: the mean since the response began at the first look, and since a look at least a
    /// second ago later on.
    pub(super) rate: u64,
    /// For how long nothing was sent and nothing acknowledged, if that is long.
    pub(super) still: Option<Duration>,
}

impl Paces {
    /// A response that began at `begun` has come to `sent` bytes, and its connection to `acknowledged`.
    pub(super) fn look(
        &mut self,
        id: Id,
        begun: Instant,
        sent: u64,
        acknowledged: u64,
        now: Instant,
    ) -> Pace {
        let mark = self.marks.entry(id).or_insert_with(|| Mark {
            at: now,
            bytes: sent,
            rate: rate(sent, now - begun),
            latest: (sent, acknowledged),
            moved: if sent == 0 { begun } else { now },
            seen: true,
        });
        mark.seen = true;
        if (sent, acknowledged) != mark.latest {
            mark.latest = (sent, acknowledged);
            mark.moved = now;
        }
        let past = now - mark.at;
        if past >= WINDOW {
            mark.rate = rate(sent.saturating_sub(mark.bytes), past);
            mark.at = now;
            mark.bytes = sent;
        }
        let still = now - mark.moved;
        Pace {
            rate: mark.rate,
            still: (still >= STILL).then_some(still),
        }
    }

    /// Forgets those that were not looked at since the last call.
    pub(super) fn sweep(&mut self) {
        self.marks
            .retain(|_, mark| std::mem::replace(&mut mark.seen, false));
    }
}

fn rate(bytes: u64, time: Duration) -> u64 {
    (bytes as f64 / time.as_secs_f64().max(0.001)) as u64
}
