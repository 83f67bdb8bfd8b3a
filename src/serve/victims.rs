//! Which connection is closed next to make room.
//!
//! A look at ten thousand connections takes about a millisecond. At the limit each new connection needs a victim,
//! and whoever opens many could keep a processor busy with such looks. So a look finds many victims, the next ones
//! are taken from these, and a look that finds none is not repeated at once.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How many victims a look finds.
const MOST: usize = 256;

/// How long a look that found none holds good.
const PAUSE: Duration = Duration::from_millis(50);

/// The connections to be closed next, the one that is idle for the longest time first.
#[derive(Debug, Default)]
pub(super) struct Victims {
    queue: VecDeque<(Instant, u64)>,
    /// Nobody was idle: no look before this time.
    none_until: Option<Instant>,
}

impl Victims {
    /// The next victim. `idle` gives all connections without a request, and since when they are; `idle_since` asks
    /// one of them again.
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
        if found.len() > MOST {
            found.select_nth_unstable(MOST - 1);
            found.truncate(MOST);
        }
        found.sort_unstable();
        self.none_until = found.is_empty().then(|| now + PAUSE);
        self.queue = found.into();
        self.queued(&idle_since)
    }

    /// The first of the queue that has been idle ever since.
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
    fn a_look_finds_many() {
        let began = Instant::now();
        let at = |second| began + Duration::from_secs(second);
        let mut connections: HashMap<u64, Instant> =
            (0..1000).map(|id| (id, at(1000 - id))).collect();
        let looks = Cell::new(0);
        let mut victims = Victims::default();
        let mut next = |connections: &HashMap<u64, Instant>, now| {
            let idle = || {
                looks.set(looks.get() + 1);
                connections.iter().map(|(id, since)| (*since, *id))
            };
            victims.next(now, idle, |id| connections.get(&id).copied())
        };
        for oldest in (744..1000).rev() {
            assert_eq!(next(&connections, at(2000)), Some(oldest));
            connections.remove(&oldest);
        }
        assert_eq!(looks.get(), 1);
        assert_eq!(next(&connections, at(2000)), Some(743));
        // 742 has had a request meanwhile, 741 has gone.
        connections.insert(742, at(2001));
        connections.remove(&741);
        assert_eq!(next(&connections, at(2001)), Some(740));
        assert_eq!(looks.get(), 2);
        connections.clear();
        assert_eq!(next(&connections, at(2002)), None);
        assert_eq!(next(&connections, at(2002)), None);
        assert_eq!(looks.get(), 3, "nobody was idle a moment ago");
        connections.insert(1, at(2002));
        assert_eq!(next(&connections, at(2002) + PAUSE), Some(1));
    }
}
