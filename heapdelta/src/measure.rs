//! The runs: call, wait until it is quiet, compare, and do it again with twice as many calls.

use crate::error::{Finding, LeakError, LeakErrorKind};
use crate::heap;
use crate::judge::{Growth, Judgement, grows_along, judge};
use crate::leak_test::LeakTest;
use crate::memory::memory;
use crate::metric::Metric;
use crate::report::{Outcome, Report, Run};
use crate::resources::{self, Held};
use crate::sys;
use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks at something that has yet to end.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// What has not changed in so many looks is taken for final.
const UNCHANGED_LOOKS: u32 = 10;
/// So often each call must leave something open before it is a leak: another test may open something meanwhile.
const CONFIRMATIONS: u32 = 3;
/// A test that has grown by so much ends with what it knows, before the machine is out of memory.
const GROWTH_LIMIT: i64 = 1 << 30;

/// One test of the process measures at a time: they would see each other's memory.
static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    static MEASURING: Cell<bool> = const { Cell::new(false) };
}

/// Takes the mark of this thread away at the end, by panic too.
struct Measuring;

impl Drop for Measuring {
    fn drop(&mut self) {
        MEASURING.set(false);
    }
}

/// The operation, and where it runs.
pub(crate) struct Subject<'s> {
    /// Calls it so often; `false` if the deadline came first.
    pub(crate) call: &'s mut dyn FnMut(u64, Instant) -> bool,
    /// Lets other threads, or the runtime's tasks, go on for so long.
    pub(crate) idle: &'s mut dyn FnMut(Duration),
    /// The tasks of the runtime.
    pub(crate) tasks: &'s dyn Fn() -> Option<u64>,
}

/// Runs the test.
pub(crate) fn measure(test: &LeakTest<'_>, subject: &mut Subject<'_>) -> Result<Report, LeakError> {
    test.check()?;
    if MEASURING.replace(true) {
        return Err(LeakError::new(
            LeakErrorKind::Settings,
            "a leak test runs inside another one: measure them one after the other".to_owned(),
        ));
    }
    let _measuring = Measuring;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Meter::new(test, subject)?.run()
}

struct Meter<'m, 't, 's> {
    test: &'m LeakTest<'t>,
    subject: &'m mut Subject<'s>,
    columns: Arc<[Metric]>,
    tolerances: Vec<u64>,
    deadline: Instant,
    /// How often the operation was called.
    called: u64,
}

impl<'m, 't, 's> Meter<'m, 't, 's> {
    fn new(test: &'m LeakTest<'t>, subject: &'m mut Subject<'s>) -> Result<Self, LeakError> {
        let fixed = [
            Metric::Heap,
            Metric::Mmap,
            Metric::Rust,
            Metric::Allocated,
            Metric::Uss,
            Metric::Rss,
            Metric::Vms,
            Metric::Heaps,
            Metric::Descriptors,
            Metric::Threads,
            Metric::Children,
            Metric::Tasks,
        ];
        let watched = test.watched.iter().map(|(name, _)| Metric::Watched(name));
        let mut meter = Self {
            test,
            subject,
            columns: fixed
                .into_iter()
                .chain(watched)
                .filter(|metric| !test.ignored.contains(metric))
                .collect(),
            tolerances: Vec::new(),
            deadline: Instant::now() + test.time_limit,
            called: 0,
        };
        let mut readings = vec![None; meter.columns.len()];
        meter.read(&mut readings);
        meter.columns = meter
            .columns
            .iter()
            .zip(&readings)
            .filter_map(|(&metric, reading)| reading.map(|_| metric))
            .collect();
        if meter.columns.iter().all(|metric| metric.is_resource()) {
            return Err(LeakError::new(
                LeakErrorKind::Unsupported,
                "nothing tells how much memory is in use here: install `heapdelta::CountingAllocator`, or do not \
                 ignore every metric of memory"
                    .to_owned(),
            ));
        }
        meter.tolerances = meter
            .columns
            .iter()
            .map(|metric| {
                let set = test.tolerances.iter().rfind(|(of, _)| of == metric);
                set.map_or(metric.default_tolerance(), |&(_, amount)| amount)
            })
            .collect();
        Ok(meter)
    }

    fn watched(&self, name: &str) -> Option<u64> {
        let (_, counter) = self.test.watched.iter().find(|(known, _)| *known == name)?;
        Some(counter())
    }

    fn held(&self, metric: Metric) -> Held {
        match metric {
            Metric::Descriptors => resources::descriptors(),
            Metric::Threads => resources::threads(),
            Metric::Children => resources::children(),
            _ => Held {
                count: self.count(metric),
                names: Vec::new(),
            },
        }
    }

    fn count(&self, metric: Metric) -> Option<u64> {
        match metric {
            Metric::Descriptors => resources::count_descriptors(),
            Metric::Threads => resources::count_threads(),
            Metric::Children => resources::count_children(),
            Metric::Tasks => (self.subject.tasks)(),
            Metric::Heaps => heap::heap_info().ok().and_then(|info| info.heap_count),
            Metric::Watched(name) => self.watched(name),
            _ => None,
        }
    }

    /// Reads every column. The heap comes last: a counter of the user's may allocate.
    fn read(&self, readings: &mut [Option<u64>]) {
        for (reading, &metric) in readings.iter_mut().zip(&*self.columns) {
            if metric.is_resource() {
                *reading = self.count(metric);
            }
        }
        if let Some(trim) = &self.test.trim {
            trim();
        }
        sys::fill_thread_cache();
        // Where there is no such call the readings are taken as they are.
        let _ = heap::heap_trim();
        let memory = memory();
        let heap = heap::heap_info().ok();
        for (reading, &metric) in readings.iter_mut().zip(&*self.columns) {
            *reading = match metric {
                Metric::Heap => heap.map(|heap| heap.heap_used + heap.mmap_used.unwrap_or(0)),
                Metric::Mmap => heap.and_then(|heap| heap.mmap_used),
                Metric::Rust => heap::counted().map(|counted| counted.bytes),
                Metric::Allocated => self.test.allocated.as_ref().map(|bytes| bytes()),
                Metric::Uss => memory.uss,
                Metric::Rss => memory.rss,
                Metric::Vms => memory.vms,
                _ => continue,
            };
        }
    }

    fn call(&mut self, calls: u64) -> Result<(), LeakError> {
        self.called += calls;
        if (self.subject.call)(calls, self.deadline) {
            return Ok(());
        }
        let limit = self.test.time_limit;
        Err(LeakError::new(
            LeakErrorKind::TimeLimit,
            format!(
                "the time limit of {limit:?} came before memory was stable or a leak proved: \
                 allow more time, or lower `times`"
            ),
        ))
    }

    fn run(mut self) -> Result<Report, LeakError> {
        self.call(self.test.warmup)?;
        let unclosed = self.unclosed()?;
        if !unclosed.is_empty() {
            return Err(LeakError::unclosed(unclosed));
        }
        let mut report = Report {
            columns: self.columns.clone(),
            tolerances: self.tolerances.clone(),
            runs: Vec::with_capacity(self.test.retries as usize),
            outcome: Outcome::Unsteady,
        };
        // Made before the first reading: what a run allocates itself must not stay until its second one.
        let mut before = vec![None; self.columns.len()];
        let mut after = before.clone();
        let mut last_look = before.clone();
        for number in 1..=self.test.retries {
            let calls = if number == 1 {
                self.test.times
            } else {
                report.runs.last().map_or(0, |run| run.calls * 2)
            };
            // A table that doubles when it is full grows in each run only if the run has as many calls as all before.
            let calls = calls.max(self.called);
            self.read(&mut before);
            if let Err(error) = self.call(calls) {
                return Err(error.with_report(report));
            }
            self.settle(&before, &mut after, &mut last_look);
            let growth = self.growth(&before, &after);
            report.runs.push(Run {
                calls,
                columns: self.columns.clone(),
                growth,
            });
            let last = number == self.test.retries || Self::is_too_large(&report);
            let judgements = self.judge(&report, last);
            if judgements.contains(&Judgement::Leak) {
                let findings = self.findings(&report, &judgements);
                return Err(LeakError::growth(findings, report));
            }
            if judgements.iter().all(|&one| one == Judgement::Stable) {
                report.outcome = Outcome::Stabilised;
                break;
            }
            if last {
                break;
            }
        }
        Ok(report)
    }

    fn growth(&self, before: &[Option<u64>], after: &[Option<u64>]) -> Vec<i64> {
        let pairs = before.iter().zip(after);
        pairs
            .map(|(before, after)| {
                let (before, after) = (before.unwrap_or(0), after.unwrap_or(0));
                after.wrapping_sub(before) as i64
            })
            .collect()
    }

    /// Reads until nothing has grown, or what has grown stays.
    fn settle(
        &mut self,
        before: &[Option<u64>],
        after: &mut [Option<u64>],
        last: &mut [Option<u64>],
    ) {
        let begun = Instant::now();
        let mut unchanged = 0;
        loop {
            self.read(after);
            let grew = before.iter().zip(after.iter()).zip(&self.tolerances).any(
                |((before, after), tolerance)| {
                    after.unwrap_or(0) > before.unwrap_or(0).saturating_add(*tolerance)
                },
            );
            unchanged = if *after == *last { unchanged + 1 } else { 0 };
            if !grew || unchanged >= UNCHANGED_LOOKS || begun.elapsed() >= self.test.settle {
                return;
            }
            last.copy_from_slice(after);
            (self.subject.idle)(LOOK_AGAIN);
        }
    }

    fn is_too_large(report: &Report) -> bool {
        let total = |metric| -> i64 {
            let growths = report.runs.iter().filter_map(|run| run.growth(metric));
            growths.sum()
        };
        [
            Metric::Heap,
            Metric::Mmap,
            Metric::Rust,
            Metric::Allocated,
            Metric::Rss,
        ]
        .into_iter()
        .any(|metric| total(metric) > GROWTH_LIMIT)
    }

    /// The runs of one column.
    fn column(report: &Report, index: usize) -> Vec<Growth> {
        let runs = report.runs.iter();
        runs.map(|run| Growth {
            calls: run.calls,
            amount: run.growth[index],
        })
        .collect()
    }

    fn judge(&self, report: &Report, last: bool) -> Vec<Judgement> {
        let columns = self.tolerances.iter().enumerate();
        columns
            .map(|(index, &tolerance)| judge(&Self::column(report, index), tolerance, last))
            .collect()
    }

    /// What leaks, and what grows along with it: a leak of Rust's is in `heap` and in `rust`.
    fn findings(&self, report: &Report, judgements: &[Judgement]) -> Vec<Finding> {
        let columns = self.columns.iter().enumerate();
        columns
            .filter(|&(index, _)| {
                judgements[index] == Judgement::Leak
                    || grows_along(&Self::column(report, index), self.tolerances[index])
            })
            .map(|(_, &metric)| Finding {
                metric,
                per_call: report
                    .runs
                    .last()
                    .and_then(|run| run.average(metric))
                    .unwrap_or(0.0),
                details: Vec::new(),
            })
            .collect()
    }

    /// What each single call leaves open.
    fn unclosed(&mut self) -> Result<Vec<Finding>, LeakError> {
        let mut suspects: Vec<Metric> = self.columns.to_vec();
        suspects.retain(|metric| metric.is_resource());
        let mut findings = Vec::new();
        for _ in 0..CONFIRMATIONS {
            let before: Vec<Held> = suspects.iter().map(|&metric| self.held(metric)).collect();
            self.call(1)?;
            let begun = Instant::now();
            findings = loop {
                let findings = self.more_than(&before, &suspects);
                if findings.is_empty() || begun.elapsed() >= self.test.settle {
                    break findings;
                }
                (self.subject.idle)(LOOK_AGAIN);
            };
            suspects = findings.iter().map(|found| found.metric).collect();
            if suspects.is_empty() {
                break;
            }
        }
        Ok(findings)
    }

    fn more_than(&self, before: &[Held], metrics: &[Metric]) -> Vec<Finding> {
        let pairs = before.iter().zip(metrics);
        pairs
            .filter_map(|(before, &metric)| {
                let after = self.held(metric);
                let more = after.count?.checked_sub(before.count?)?;
                let index = self.columns.iter().position(|&column| column == metric)?;
                (more > self.tolerances[index]).then(|| Finding {
                    metric,
                    per_call: more as f64,
                    details: after.new_since(before),
                })
            })
            .collect()
    }
}
