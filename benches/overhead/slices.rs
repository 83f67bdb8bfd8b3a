//! Slices of work, and how the monitored ones compare with the bare ones beside them.

use crate::instructions::Counter;
use std::io;
use std::time::{Duration, Instant};

/// What was done in a slice.
pub(crate) struct Work {
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

/// What one slice took.
pub(crate) struct Slice {
    work: Work,
    time: Duration,
    instructions: Option<u64>,
}

impl Slice {
    fn nanoseconds_per_call(&self) -> f64 {
        self.time.as_secs_f64() * 1e9 / self.work.calls as f64
    }

    fn seconds_per_byte(&self) -> f64 {
        self.time.as_secs_f64() / self.work.bytes as f64
    }

    fn instructions_per_call(&self) -> Option<f64> {
        Some(self.instructions? as f64 / self.work.calls as f64)
    }
}

/// The clock and the counter of instructions, where there is one.
pub(crate) struct Meter {
    counter: Option<Counter>,
}

impl Meter {
    pub(crate) fn new(counter: Option<Counter>) -> Self {
        Self { counter }
    }

    pub(crate) fn slice(&mut self, work: impl FnOnce() -> io::Result<Work>) -> io::Result<Slice> {
        let before = self.counter.as_mut().map(Counter::read).transpose()?;
        let begin = Instant::now();
        let work = work()?;
        let time = begin.elapsed();
        let after = self.counter.as_mut().map(Counter::read).transpose()?;
        Ok(Slice {
            work,
            time,
            instructions: after.zip(before).map(|(after, before)| after - before),
        })
    }
}

/// A monitored slice between two bare ones.
pub(crate) struct Round {
    pub(crate) before: Slice,
    pub(crate) monitored: Slice,
    pub(crate) after: Slice,
}

impl Round {
    /// The mean of the two bare slices.
    fn bare(&self, value: impl Fn(&Slice) -> f64) -> f64 {
        f64::midpoint(value(&self.before), value(&self.after))
    }

    /// How much more the monitored slice has than that.
    fn more(&self, value: impl Fn(&Slice) -> f64) -> f64 {
        value(&self.monitored) - self.bare(value)
    }
}

/// All the rounds of one case.
pub(crate) struct Comparison {
    rounds: Vec<Round>,
}

impl Comparison {
    /// Runs `round` so many times, and a tenth as often before that to warm up.
    pub(crate) fn run(
        rounds: usize,
        mut round: impl FnMut() -> io::Result<Round>,
    ) -> io::Result<Self> {
        for _ in 0..rounds / 10 {
            round()?;
        }
        let rounds = (0..rounds).map(|_| round()).collect::<io::Result<_>>()?;
        Ok(Self { rounds })
    }

    /// The bare stream's throughput.
    pub(crate) fn megabytes_per_second(&self) -> f64 {
        1.0 / self.median(|round| round.bare(Slice::seconds_per_byte)) / 1e6
    }

    /// The bare stream's time of a call.
    pub(crate) fn nanoseconds(&self) -> f64 {
        self.median(|round| round.bare(Slice::nanoseconds_per_call))
    }

    /// How much longer a monitored call takes.
    pub(crate) fn more_nanoseconds(&self) -> f64 {
        self.median(|round| round.more(Slice::nanoseconds_per_call))
    }

    /// The bare stream's instructions of a call, and how many more a monitored call has.
    pub(crate) fn instructions(&self) -> Option<(f64, f64)> {
        self.rounds.first()?.before.instructions?;
        let value = |slice: &Slice| slice.instructions_per_call().unwrap_or_default();
        Some((
            self.median(|round| round.bare(value)),
            self.median(|round| round.more(value)),
        ))
    }

    /// The monitored stream's throughput divided by the bare one's: the quartiles.
    pub(crate) fn throughput(&self) -> [f64; 3] {
        self.quartiles(|round| {
            round.bare(Slice::seconds_per_byte) / round.monitored.seconds_per_byte()
        })
    }

    /// The same of the two bare slices, of which the later one is taken for the monitored one.
    pub(crate) fn noise(&self) -> [f64; 3] {
        self.quartiles(|round| round.before.seconds_per_byte() / round.after.seconds_per_byte())
    }

    fn median(&self, value: impl Fn(&Round) -> f64) -> f64 {
        self.quartiles(value)[1]
    }

    fn quartiles(&self, value: impl Fn(&Round) -> f64) -> [f64; 3] {
        let mut values: Vec<f64> = self.rounds.iter().map(value).collect();
        values.sort_unstable_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
    }
}
