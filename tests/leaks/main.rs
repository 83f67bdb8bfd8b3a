//! No operation leaks: each is called again and again, and nothing may grow. `items.tsv` says for each public
//! function which of these tests calls it.
//!
//! It has a `main` of its own, as it runs one test after the other, each with the process to itself. The arguments are
//! those of libtest. `LEAKS=long` calls each operation ten times as often.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connections;
mod handles;
mod http;
mod items;
mod loopback;
mod outbox;
mod planted;
mod serve;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod transfers;

use heapdelta::{CountingAllocator, LeakError, LeakTest, Metric, Report};
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

/// An operation, by the name that `items.tsv` uses.
pub(crate) type Case = (&'static str, fn(LeakTest<'_>) -> Result<Report, LeakError>);

fn cases() -> impl Iterator<Item = &'static Case> {
    [
        connections::CASES,
        handles::CASES,
        transfers::CASES,
        http::CASES,
        tls::CASES,
        outbox::CASES,
        serve::CASES,
    ]
    .into_iter()
    .flatten()
}

/// Runs one, and tells how much a call leaves.
fn measure(&(name, run): &Case) -> Result<(), LeakError> {
    let long = std::env::var_os("LEAKS").is_some_and(|mode| mode == "long");
    let (times, minutes) = if long { (1000, 30) } else { (50, 2) };
    let test = LeakTest::new()
        .times(times)
        .time_limit(Duration::from_secs(60 * minutes));
    let report = run(test)?;
    let calls: u64 = report.runs().iter().map(|run| run.calls()).sum();
    let last = report.runs().last();
    let bytes = last
        .and_then(|run| run.average(Metric::Rust))
        .unwrap_or(0.0);
    println!("{name}: {bytes:+.1} bytes a call, after {calls} calls");
    Ok(())
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each measures the whole process.
    arguments.test_threads = Some(1);
    let mut trials: Vec<Trial> = cases()
        .map(|case| {
            Trial::test(case.0, move || {
                measure(case).map_err(|error| format!("{error}").into())
            })
        })
        .collect();
    trials.extend(
        planted::PLANTED
            .iter()
            .map(|&(name, run)| Trial::test(name, move || Ok(run(LeakTest::new().times(50))?))),
    );
    trials.push(Trial::test("items", || {
        let names: Vec<&str> = cases().map(|case| case.0).collect();
        Ok(items::check(&names)?)
    }));
    trials.push(Trial::test("read_ahead_gives_back", || {
        Ok(transfers::read_ahead_gives_back()?)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}
