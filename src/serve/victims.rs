//! Chooses the connection to close when a new one needs room.
//!
//! A scan of ten thousand connections takes about a millisecond. At the limit every new connection needs a victim, so
//! a client that opens many connections could keep a processor busy with scans. One scan therefore finds up to
//! [`PER_SCAN`] victims, which the next calls use up, and a scan that finds none is not repeated within [`PAUSE`].

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How many victims one scan finds.
const PER_SCAN: usize = 256;

/// How long no scan is made after one that found no victim.
const PAUSE: Duration = Duration::from_millis(50);

/// The connections to close next. The one that has been idle longest comes first.
#[derive(Debug, Default)]
pub(super) struct Victims {
    queue: VecDeque<(Instant, u64)>,
    /// The last scan found no idle connection. The next scan is made at this time or later.
    none_until: Option<Instant>,
}

impl Victims {
    /// The next victim. `idle` returns all idle connections, each with the time at which it became idle. `idle_since`
    /// returns the present value for one of them.
    pub(super) fn next<I: Iterator<Item = (Instant, u64)>>(
        &mut self,
        now: Instant,
        idle: impl FnOnce() -> I,
        idle_since: impl Fn(u64) -> Option<Instant>,
    ) -> Option<u64> {
        if let Some(id) = self.queued(&idle_since) {
            return Some(id);
        }
        if self.none_until.is_some_and(|until| now < until) {
            return None;
        }
        let mut found: Vec<_> = idle().collect();
        if found.len() > PER_SCAN {
            found.select_nth_unstable(PER_SCAN - 1);
            found.truncate(PER_SCAN);
        }
        found.sort_unstable();
        self.none_until = found.is_empty().then(|| now + PAUSE);
        self.queue = found.into();
        self.queued(&idle_since)
    }

    /// The first connection of the queue that has had no request since the scan.
    fn queued(&mut self, idle_since: impl Fn(u64) -> Option<Instant>) -> Option<u64> {
        loop {
            let (since, id) = self.queue.pop_front()?;
            if idle_since(id) == Some(since) {
                return Some(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::collections::HashMap;

    #[test]
    fn a_scan_finds_many() {
        let began = Instant::now();
        let at = |second| began + Duration::from_secs(second);
        let mut connections: HashMap<u64, Instant> =
            (0..1000).map(|id| (id, at(1000 - id))).collect();
        let scans = Cell::new(0);
        let mut victims = Victims::default();
        let mut next = |connections: &HashMap<u64, Instant>, now| {
            let idle = || {
                scans.set(scans.get() + 1);
                connections.iter().map(|(id, since)| (*since, *id))
            };
            victims.next(now, idle, |id| connections.get(&id).copied())
        };
        for oldest in (744..1000).rev() {
            assert_eq!(next(&connections, at(2000)), Some(oldest));
            connections.remove(&oldest);
        }
        assert_eq!(scans.get(), 1);
        assert_eq!(next(&connections, at(2000)), Some(743));
        // 742 has had a request meanwhile, 741 has gone.
        connections.insert(742, at(2001));
        connections.remove(&741);
        assert_eq!(next(&connections, at(2001)), Some(740));
        assert_eq!(scans.get(), 2);
        connections.clear();
        assert_eq!(next(&connections, at(2002)), None);
        assert_eq!(next(&connections, at(2002)), None);
        assert_eq!(scans.get(), 3, "no connection was idle a moment ago");
        connections.insert(1, at(2002));
        assert_eq!(next(&connections, at(2002) + PAUSE), Some(1));
    }
}
