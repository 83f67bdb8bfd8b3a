//! How fast the open downloads go, from one look at them to the next.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A rate is of at least this time.
const WINDOW: Duration = Duration::from_secs(1);
/// A download that has not moved for so long is stalled.
const STALLED: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Paces {
    marks: HashMap<u64, Mark>,
}

struct Mark {
    /// The response that the connection was sending: it may have gone on to another one since.
    begun: Instant,
    at: Instant,
    bytes: u64,
    rate: u64,
    latest: u64,
    moved: Instant,
    seen: bool,
}

pub(crate) struct Pace {
    /// Bytes a second: the mean since the download began when it is looked at for the first time, and
    /// since a look at least a second ago later on.
    pub(crate) rate: u64,
    /// For how long it has not moved.
    pub(crate) stalled: Option<Duration>,
}

impl Paces {
    /// A download of connection `number` that began at `begun` has come to `bytes`.
    pub(crate) fn look(&mut self, number: u64, begun: Instant, bytes: u64, now: Instant) -> Pace {
        let first = || Mark {
            begun,
            at: now,
            bytes,
            rate: rate(bytes, now - begun),
            latest: bytes,
            moved: if bytes == 0 { begun } else { now },
            seen: true,
        };
        let mark = self.marks.entry(number).or_insert_with(first);
        if mark.begun != begun {
            *mark = first();
        }
        mark.seen = true;
        if bytes > mark.latest {
            mark.latest = bytes;
            mark.moved = now;
        }
        let past = now - mark.at;
        if past >= WINDOW {
            mark.rate = rate(bytes.saturating_sub(mark.bytes), past);
            mark.at = now;
            mark.bytes = bytes;
        }
        let still = now - mark.moved;
        Pace {
            rate: mark.rate,
            stalled: (still >= STALLED).then_some(still),
        }
    }

    /// Forgets those that were not looked at since the last call.
    pub(crate) fn sweep(&mut self) {
        self.marks
            .retain(|_, mark| std::mem::replace(&mut mark.seen, false));
    }
}

fn rate(bytes: u64, time: Duration) -> u64 {
    (bytes as f64 / time.as_secs_f64().max(0.001)) as u64
}
