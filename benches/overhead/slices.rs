//! Slices of work, and how the monitored ones compare with the bare ones beside them.

use super::instructions::Counter;
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
    fn bare(&self) -> [&Slice; 2] {
        [&self.before, &self.after]
    }
}

/// All the rounds of one case.
pub(crate) struct Comparison {
    rounds: Vec<Round>,
}

impl Comparison {
    /// Repeats `round` for so long, once at the least, and a tenth as long before that to warm up.
    pub(crate) fn run(
        time: Duration,
        mut round: impl FnMut() -> io::Result<Round>,
    ) -> io::Result<Self> {
        let mut rounds = Vec::new();
        for time in [time / 10, time] {
            rounds.clear();
            let begin = Instant::now();
            while rounds.is_empty() || begin.elapsed() < time {
                rounds.push(round()?);
            }
        }
        Ok(Self { rounds })
    }

    /// The bare stream's throughput.
    pub(crate) fn megabytes_per_second(&self) -> f64 {
        1.0 / self.bare(Slice::seconds_per_byte).median / 1e6
    }

    /// The bare stream's time of a call.
    pub(crate) fn nanoseconds(&self) -> f64 {
        self.bare(Slice::nanoseconds_per_call).median
    }

    /// How much longer a monitored call takes.
    pub(crate) fn more_nanoseconds(&self) -> Quartiles {
        self.pairs(|bare, monitored| monitored.nanoseconds_per_call() - bare.nanoseconds_per_call())
    }

    /// The bare stream's instructions of a call, and how many more a monitored call has.
    pub(crate) fn instructions(&self) -> Option<(f64, f64)> {
        self.rounds.first()?.before.instructions?;
        let value = |slice: &Slice| slice.instructions_per_call().unwrap_or_default();
        let more = self.pairs(|bare, monitored| value(monitored) - value(bare));
        Some((self.bare(value).median, more.median))
    }

    /// The monitored stream's throughput divided by the bare one's.
    pub(crate) fn throughput(&self) -> Quartiles {
        self.pairs(|bare, monitored| bare.seconds_per_byte() / monitored.seconds_per_byte())
    }

    /// The same of the fastest tenth of the slices: what the machine does beside them makes slices slower, and none faster.
    pub(crate) fn fastest_throughput(&self) -> f64 {
        let tenth = |slices: Vec<&Slice>| {
            let mut times: Vec<f64> = slices.into_iter().map(Slice::seconds_per_byte).collect();
            times.sort_unstable_by(f64::total_cmp);
            times[times.len() / 10]
        };
        let bare = self.rounds.iter().flat_map(Round::bare).collect();
        let monitored = self.rounds.iter().map(|round| &round.monitored).collect();
        tenth(bare) / tenth(monitored)
    }

    /// The same of the two bare slices, of which the later one is taken for the monitored one.
    pub(crate) fn noise(&self) -> Quartiles {
        Quartiles::of(
            self.rounds
                .iter()
                .map(|round| round.before.seconds_per_byte() / round.after.seconds_per_byte()),
        )
    }

    fn bare(&self, value: impl Fn(&Slice) -> f64) -> Quartiles {
        Quartiles::of(self.rounds.iter().flat_map(Round::bare).map(value))
    }

    /// Of the monitored slices, each with the bare one before it and with the one after it: each
    /// pair as likely to be disturbed in the one as in the other.
    fn pairs(&self, value: impl Fn(&Slice, &Slice) -> f64) -> Quartiles {
        Quartiles::of(
            self.rounds
                .iter()
                .flat_map(|round| round.bare().map(|bare| value(bare, &round.monitored))),
        )
    }
}

/// How values are spread.
#[derive(Clone, Copy)]
pub(crate) struct Quartiles {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
    count: usize,
}

impl Quartiles {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let [low, median, high] = [1, 2, 3].map(|quarter| values[values.len() * quarter / 4]);
        Self {
            low,
            median,
            high,
            count: values.len(),
        }
    }

    /// How far the median may be off: two standard errors, of which one is 1.253 / sqrt(count) standard
    /// deviations, and a standard deviation is the distance of the outer quartiles / 1.349, where the
    /// values are spread normally.
    pub(crate) fn uncertainty(&self) -> f64 {
        2.0 * 1.253 / 1.349 * (self.high - self.low) / (self.count as f64).sqrt()
    }
}
