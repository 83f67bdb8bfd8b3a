//! No operation leaks: each is called again and again, and nothing may grow. `items.tsv` says for each public
//! function which of these tests calls it.
//!
//! It has a `main` of its own, which gives each test a process to itself: a test measures all that its process holds.
//! They wait far more than they compute, so several run at a time. The arguments are those of libtest. `LEAKS=long` calls
//! each operation ten times as often.

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
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::{Command, ExitCode};
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

/// A test, which measures the process that it runs in.
type Test = Box<dyn FnOnce() -> Result<(), String>>;

fn tests() -> Vec<(&'static str, Test)> {
    let operations = cases().map(|case| {
        let test: Test = Box::new(|| measure(case));
        (case.0, test)
    });
    let planted = planted::PLANTED.iter().map(|&(name, run)| {
        let test: Test = Box::new(move || run(LeakTest::new().times(50)));
        (name, test)
    });
    let buffer: Test = Box::new(transfers::read_ahead_gives_back);
    operations
        .chain(planted)
        .chain([("read_ahead_gives_back", buffer)])
        .collect()
}

/// Runs one, and tells how much a call leaves.
fn measure(&(name, run): &Case) -> Result<(), String> {
    let long = std::env::var_os("LEAKS").is_some_and(|mode| mode == "long");
    let (times, minutes) = if long { (1000, 30) } else { (50, 2) };
    let test = LeakTest::new()
        .times(times)
        .time_limit(Duration::from_secs(60 * minutes));
    let report = run(test).map_err(|error| error.to_string())?;
    let calls: u64 = report.runs().iter().map(|run| run.calls()).sum();
    let last = report.runs().last();
    let bytes = last
        .and_then(|run| run.average(Metric::Rust))
        .unwrap_or(0.0);
    println!("{name}: {bytes:+.1} bytes a call, after {calls} calls");
    Ok(())
}

/// Names the test that a process runs, and nothing else.
const ALONE: &str = "HANGUP_LEAK_TEST";

/// Runs a test in a process of its own.
fn in_a_process(name: &str) -> Result<(), Failed> {
    let mut process = Command::new(std::env::current_exe()?);
    let output = process.env(ALONE, name).output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}\n{told}", output.status).into())
}

fn main() -> ExitCode {
    if let Ok(alone) = std::env::var(ALONE) {
        let test = tests().into_iter().find(|(name, _)| *name == alone);
        let (_, run) = test.unwrap_or_else(|| panic!("{ALONE}: no test {alone}"));
        return match run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(4);
    let mut trials: Vec<Trial> = tests()
        .into_iter()
        .map(|(name, _)| Trial::test(name, move || in_a_process(name)))
        .collect();
    trials.push(Trial::test("items", || {
        let names: Vec<&str> = cases().map(|case| case.0).collect();
        Ok(items::check(&names)?)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}
