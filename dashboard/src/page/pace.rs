//! The rates of the responses in progress, from one snapshot to the next.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A rate is the mean of at least this time.
const WINDOW: Duration = Duration::from_secs(1);
/// A response without progress for this time is stalled.
const STILL: Duration = Duration::from_secs(2);

/// The number of a connection, and that of its response.
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
    /// Bytes per second: in the first snapshot the mean since the response began, and later the mean since a snapshot that
    /// is at least a second old.
    pub(super) rate: u64,
    /// The time without progress, if the response is stalled.
    pub(super) still: Option<Duration>,
}

impl Paces {
    /// Updates a response that began at `begun`: it has sent `sent` bytes, and its connection has `acknowledged`.
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

    /// Removes the responses that were not updated since the last call.
    pub(super) fn sweep(&mut self) {
        self.marks
            .retain(|_, mark| std::mem::replace(&mut mark.seen, false));
    }
}

fn rate(bytes: u64, time: Duration) -> u64 {
    (bytes as f64 / time.as_secs_f64().max(0.001)) as u64
}
