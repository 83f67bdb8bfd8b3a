//! When the messages of the backlog were accepted. Pure.
//!
//! A backlog may hold millions of messages, so the time of each is not kept. An entry says that the messages from a number
//! on were accepted at a time or later.

use std::collections::VecDeque;

/// The shortest time between two entries, in nanoseconds. An age that a person reads needs no finer resolution.
const GRAIN: u64 = 1_000_000_000;

/// How many entries are kept. Beyond that every second one goes, and the time between two entries doubles.
const MOST: usize = 1024;

/// The times at which messages were accepted, each at most one grain too early.
#[derive(Debug)]
pub(crate) struct AcceptTimes {
    /// Numbers and nanoseconds, both growing.
    entries: VecDeque<(u64, u64)>,
    grain: u64,
}

impl AcceptTimes {
    pub(crate) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            grain: GRAIN,
        }
    }

    /// Message `number` was accepted at `time`. Neither ever falls.
    pub(crate) fn push(&mut self, number: u64, time: u64) {
        let last = self.entries.back();
        if last.is_some_and(|&(_, last)| time < last.saturating_add(self.grain)) {
            return;
        }
        if self.entries.len() == MOST {
            let entries = std::mem::take(&mut self.entries);
            self.entries = entries.into_iter().step_by(2).collect();
            self.grain = self.grain.saturating_mul(2);
        }
        self.entries.push_back((number, time));
    }

    /// When message `number` was accepted.
    pub(crate) fn at(&self, number: u64) -> Option<u64> {
        let later = self.entries.partition_point(|&(from, _)| from <= number);
        Some(self.entries.get(later.checked_sub(1)?)?.1)
    }

    /// Messages below `number` are not asked for again.
    pub(crate) fn skip(&mut self, number: u64) {
        while self.entries.get(1).is_some_and(|&(from, _)| from <= number) {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_at_most_one_grain_too_early() {
        let mut times = AcceptTimes::new();
        let accepted = |number: u64| number * GRAIN / 10;
        for number in 0..100 {
            times.push(number, accepted(number));
        }
        for number in 0..100 {
            let early = accepted(number) - times.at(number).unwrap();
            assert!(early < GRAIN, "{number}: {early}");
        }
        assert_eq!(times.entries.len(), 10);
    }

    #[test]
    fn a_long_backlog_keeps_few_entries() {
        const LAST: u64 = if cfg!(miri) { 10_000 } else { 1_000_000 };
        let mut times = AcceptTimes::new();
        for number in 0..=LAST {
            times.push(number, number * GRAIN);
        }
        assert!(times.entries.len() <= MOST);
        for number in (0..=LAST).step_by(997) {
            let early = number * GRAIN - times.at(number).unwrap();
            assert!(early <= LAST * GRAIN / 500, "{number}: {early}");
        }
    }

    #[test]
    fn what_is_gone_needs_no_entries() {
        let mut times = AcceptTimes::new();
        for number in 5..10 {
            times.push(number, number * GRAIN);
        }
        assert_eq!(times.at(4), None);
        times.skip(8);
        assert_eq!(times.entries, [(8, 8 * GRAIN), (9, 9 * GRAIN)]);
        times.skip(100);
        assert_eq!(times.at(100), Some(9 * GRAIN));
    }
}
