//! The settings of a test.

use crate::error::{LeakError, LeakErrorKind};
use crate::measure::{Subject, measure};
use crate::metric::Metric;
use crate::report::Report;
use std::fmt;
use std::time::{Duration, Instant};

/// A counter of the user's.
type Counter<'a> = Box<dyn Fn() -> u64 + 'a>;

/// Calls an operation many times, and fails if something grows with the calls.
///
/// # How it decides
/// It calls the operation a few times, so that caches fill ([`warmup`](Self::warmup)). Then one call is watched alone:
/// it must leave no descriptor, thread, child process, task, or [watched](Self::watch) counter behind. Then come the
/// runs, each with at least twice as many calls as the one before. Before and after each run the allocator gives free
/// memory back, and memory is compared.
///
/// * A metric that did not grow in two runs after each other is stable. When all are, the test ends.
/// * A metric whose average a call was the same (within 10 %) in four runs leaks; so does one that grew in five runs, and
///   whose average did not fall below 60 % of the run before. Noise falls to half, as the calls double.
/// * After the last run the rest is noise: [`Outcome::Unsteady`](crate::Outcome::Unsteady).
///
/// # What is isolated, and what is not
/// All metrics are the process's. Leak tests of one process take turns, so they never measure each other. Other tests
/// and threads of the process may run beside them: what they allocate and free is noise, which the rule is made for. But
/// a test beside it that keeps growing for as long as the leak test runs looks like a leak. Give leak tests a test
/// binary of their own (a file in `tests/`), or run them with cargo-nextest, which gives each test a process.
///
/// # Examples
/// ```
/// use heapdelta::{LeakErrorKind, LeakTest, Metric};
///
/// LeakTest::new().run(|| "a string".to_owned())?;
///
/// # #[cfg(all(target_os = "linux", target_env = "gnu"))] {
/// let error = LeakTest::new()
///     .run(|| std::mem::forget(Box::new(1_u128)))
///     .unwrap_err();
/// assert_eq!(error.kind(), LeakErrorKind::Growth);
/// let heap = error.finding(Metric::Heap).expect("glibc tells");
/// assert_eq!(heap.per_call.round(), 32.0); // 16 bytes, in glibc's smallest chunk
/// # }
/// # Ok::<(), heapdelta::LeakError>(())
/// ```
#[must_use = "a leak test does nothing before `run`"]
pub struct LeakTest<'a> {
    pub(crate) times: u64,
    pub(crate) retries: u32,
    pub(crate) warmup: u64,
    pub(crate) time_limit: Duration,
    pub(crate) settle: Duration,
    pub(crate) tolerances: Vec<(Metric, u64)>,
    pub(crate) ignored: Vec<Metric>,
    pub(crate) watched: Vec<(&'static str, Counter<'a>)>,
    pub(crate) allocated: Option<Counter<'a>>,
    pub(crate) trim: Option<Box<dyn Fn() + 'a>>,
    #[cfg(feature = "tokio")]
    pub(crate) worker_threads: Option<usize>,
}

impl<'a> LeakTest<'a> {
    /// The defaults: 100 times in the first run, 7 runs at most, 20 calls to warm up, 60 s at most.
    pub fn new() -> Self {
        Self {
            times: 100,
            retries: 7,
            warmup: 20,
            time_limit: Duration::from_secs(60),
            settle: Duration::from_millis(500),
            tolerances: Vec::new(),
            ignored: Vec::new(),
            watched: Vec::new(),
            allocated: None,
            trim: None,
            #[cfg(feature = "tokio")]
            worker_threads: None,
        }
    }

    /// Calls in the first run, 100 by default; each further run has twice as many.
    ///
    /// More calls find rarer leaks (one call in a thousand leaks: use 10 000) and smaller ones below noise; fewer are for
    /// slow operations. A run never has fewer calls than there were before it, the warm-up included, so that a table that
    /// doubles when it is full grows in each run.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Runs at most, 7 by default, 3 at least. Stable code needs two; seven have 127 times as many calls as the first.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Calls before anything is measured, 20 by default. An operation with a cache needs enough to fill it.
    pub fn warmup(mut self, calls: u64) -> Self {
        self.warmup = calls;
        self
    }

    /// How much `metric` may grow in a run, in bytes (or in number, for a resource), and still not have grown.
    ///
    /// By default 16 KiB for [`Uss`](Metric::Uss), [`Rss`](Metric::Rss) and [`Vms`](Metric::Vms), and 0 for the rest. As
    /// the calls double, a leak outgrows any tolerance in the end, if there are [runs](Self::retries) enough.
    pub fn tolerance(mut self, metric: Metric, amount: u64) -> Self {
        self.tolerances.push((metric, amount));
        self
    }

    /// Leaves `metric` out.
    pub fn ignore(mut self, metric: Metric) -> Self {
        self.ignored.push(metric);
        self
    }

    /// How long the test may take, 60 s by default; then it fails with [`LeakErrorKind::TimeLimit`].
    ///
    /// It is looked at between two calls. An async call is dropped when it is over; a blocking call that never returns is
    /// not ended by it. Waiting for another leak test of the process does not count.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How long a call's threads, tasks and descriptors may take to go away after it, 500 ms by default.
    ///
    /// Only a test that has grown waits, and no longer than until it is back or unchanged for 50 ms.
    pub fn settle(mut self, time: Duration) -> Self {
        self.settle = time;
        self
    }

    /// Watches a counter of the program: connections in a table, entries of a cache. A call must not leave it higher,
    /// and it must not grow with the runs.
    ///
    /// # Examples
    /// ```
    /// use heapdelta::{LeakTest, Metric};
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    ///
    /// let entries = AtomicU64::new(0);
    /// let error = LeakTest::new()
    ///     .watch("entries", || entries.load(Relaxed))
    ///     .run(|| entries.fetch_add(2, Relaxed))
    ///     .unwrap_err();
    /// let found = error.finding(Metric::Watched("entries")).expect("it grew");
    /// assert_eq!(found.per_call, 2.0);
    /// ```
    pub fn watch(mut self, name: &'static str, counter: impl Fn() -> u64 + 'a) -> Self {
        self.watched.push((name, Box::new(counter)));
        self
    }

    /// Adds a column of memory, [`Metric::Allocated`]: the bytes in use as an allocator of the program's own tells.
    ///
    /// jemalloc and mimalloc do not serve C's `malloc` unless they are built to, so that [`heap_info`](crate::heap_info)
    /// does not see them. `bytes` is called before and after each run. For jemalloc, with `tikv-jemalloc-ctl` and its
    /// feature `stats`, it advances the epoch and reads `stats::allocated`; what a thread's cache holds counts as in use
    /// until [`trim`](Self::trim) flushes it, with the control `thread.tcache.flush`:
    ///
    /// ```text
    /// LeakTest::new()
    ///     .trim(|| { let _ = unsafe { raw::read::<()>(b"thread.tcache.flush\0") }; })
    ///     .allocated(|| { epoch::advance().unwrap(); stats::allocated::read().unwrap() as u64 })
    /// ```
    ///
    /// # Examples
    /// ```
    /// use heapdelta::{LeakTest, Metric};
    /// use std::cell::Cell;
    ///
    /// // A pool of memory that no allocator of the system knows of.
    /// let in_use = Cell::new(0);
    /// let error = LeakTest::new()
    ///     .allocated(|| in_use.get())
    ///     .run(|| in_use.set(in_use.get() + 24))
    ///     .unwrap_err();
    /// let found = error.finding(Metric::Allocated).expect("it grew");
    /// assert_eq!(found.per_call, 24.0);
    /// ```
    pub fn allocated(mut self, bytes: impl Fn() -> u64 + 'a) -> Self {
        self.allocated = Some(Box::new(bytes));
        self
    }

    /// Called before memory is read, to empty caches: a pool's `shrink`, mimalloc's `mi_collect`.
    pub fn trim(mut self, trim: impl Fn() + 'a) -> Self {
        self.trim = Some(Box::new(trim));
        self
    }

    /// Measures a blocking operation. What it returns is dropped within the measured part.
    ///
    /// # Errors
    /// A [`LeakError`] that says what leaks, or why it could not be measured.
    pub fn run<T>(&self, mut operation: impl FnMut() -> T) -> Result<Report, LeakError> {
        measure(
            self,
            &mut Subject {
                call: &mut |calls, deadline| {
                    for _ in 0..calls {
                        if Instant::now() >= deadline {
                            return false;
                        }
                        drop(operation());
                    }
                    true
                },
                idle: &mut std::thread::park_timeout,
                tasks: &|| None,
            },
        )
    }

    pub(crate) fn check(&self) -> Result<(), LeakError> {
        let message = if !(1..=1 << 32).contains(&self.times) {
            format!("times is {}: it must be 1 to 2^32", self.times)
        } else if !(3..=20).contains(&self.retries) {
            let retries = self.retries;
            format!(
                "retries is {retries}: it must be 3 (fewer cannot tell a leak from noise) to 20"
            )
        } else if self.warmup > 1 << 32 {
            format!("warmup is {}: it must be at most 2^32", self.warmup)
        } else {
            return Ok(());
        };
        Err(LeakError::new(LeakErrorKind::Settings, message))
    }
}

impl Default for LeakTest<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LeakTest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watched: Vec<_> = self.watched.iter().map(|(name, _)| name).collect();
        f.debug_struct("LeakTest")
            .field("times", &self.times)
            .field("retries", &self.retries)
            .field("warmup", &self.warmup)
            .field("time_limit", &self.time_limit)
            .field("settle", &self.settle)
            .field("tolerances", &self.tolerances)
            .field("ignored", &self.ignored)
            .field("watched", &watched)
            .finish_non_exhaustive()
    }
}
