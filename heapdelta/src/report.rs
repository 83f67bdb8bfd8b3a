//! The table of runs.

use crate::metric::Metric;
use std::fmt;
use std::sync::Arc;

/// One run: so many calls, and how much each metric grew by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub(crate) calls: u64,
    pub(crate) columns: Arc<[Metric]>,
    pub(crate) growth: Vec<i64>,
}

impl Run {
    /// How often the operation was called.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// How much `metric` grew, negative if it shrank; `None` if the platform does not tell, or the test ignores it.
    #[must_use]
    pub fn growth(&self, metric: Metric) -> Option<i64> {
        let index = self.columns.iter().position(|&column| column == metric)?;
        self.growth.get(index).copied()
    }

    /// The growth divided by the calls.
    #[must_use]
    pub fn average(&self, metric: Metric) -> Option<f64> {
        self.growth(metric)
            .map(|growth| growth as f64 / self.calls as f64)
    }
}

/// How a test without a leak ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Each metric had two runs after each other in which it did not grow.
    Stabilised,
    /// Some metric went up and down to the last run, and its growth did not keep pace with the calls: noise. A leak that
    /// is small beside the noise may hide in it; more [`times`](crate::LeakTest::times) uncover it.
    Unsteady,
}

/// What was measured. [`Display`](fmt::Display) prints the table, with the outcome in the last line.
///
/// # Examples
/// ```
/// use heapdelta::{LeakTest, Metric, Outcome};
///
/// let report = LeakTest::new().run(|| drop(vec![0_u8; 100]))?;
/// assert_eq!(report.outcome(), Outcome::Stabilised);
/// if cfg!(all(target_os = "linux", target_env = "gnu")) {
///     let last = report.runs().last().expect("at least two");
///     assert_eq!(last.growth(Metric::Heap), Some(0));
/// }
/// println!("{report}");
/// # Ok::<(), heapdelta::LeakError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub(crate) columns: Arc<[Metric]>,
    pub(crate) tolerances: Vec<u64>,
    pub(crate) runs: Vec<Run>,
    pub(crate) outcome: Outcome,
}

impl Report {
    /// The runs, in order. A metric that shrank in one may have grown in another.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Stable, or noise. In the report of an error it says nothing.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The metrics that were measured.
    #[must_use]
    pub fn metrics(&self) -> &[Metric] {
        &self.columns
    }

    /// Writes the table, without a line on the outcome.
    pub(crate) fn write_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<usize> = (0..self.columns.len())
            .filter(|&index| {
                !self.columns[index].is_resource()
                    || self.runs.iter().any(|run| run.growth[index] != 0)
            })
            .collect();
        write!(f, "{:>4} {:>8}", "run", "calls")?;
        for &index in &shown {
            write!(f, " {:>12}", self.columns[index])?;
        }
        write!(f, "  average a call")?;
        for (number, run) in self.runs.iter().enumerate() {
            write!(f, "\n{:>4} {:>8}", number + 1, run.calls)?;
            for &index in &shown {
                write!(f, " {:>+12}", run.growth[index])?;
            }
            let mut separator = "  ";
            for &index in &shown {
                if run.growth[index] > self.tolerances[index].try_into().unwrap_or(i64::MAX) {
                    let average = run.growth[index] as f64 / run.calls as f64;
                    write!(f, "{separator}{} {average:+.1}", self.columns[index])?;
                    separator = ", ";
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_table(f)?;
        let calls: u64 = self.runs.iter().map(|run| run.calls).sum();
        f.write_str(match self.outcome {
            Outcome::Stabilised => "\nstabilised",
            Outcome::Unsteady => "\nunsteady, but the growth does not keep pace with the calls",
        })?;
        write!(f, " after {} runs, {calls} calls", self.runs.len())
    }
}
