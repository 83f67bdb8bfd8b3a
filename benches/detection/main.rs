//! How long from the peer's `close()` to the user's code, and what it costs to be told.
//!
//! `cargo bench --bench detection`. Without `--bench` (as `cargo test --benches` runs it) a short run
//! shows that it works; its figures mean nothing.

mod cost;
mod observer;
mod race;

use race::{Times, race};
use std::error::Error;
use std::thread;

/// How often the time of the thread in `poll(2)` the median of `hangup` may be.
const TARGET: f64 = 1.25;

fn main() -> Result<(), Box<dyn Error>> {
    let thorough = std::env::args().any(|argument| argument == "--bench");
    let (warm_up, rounds) = if thorough { (500, 5000) } else { (2, 20) };

    println!("{} cores", thread::available_parallelism()?);
    if !thorough {
        println!("a short run, too short to measure: `cargo bench --bench detection` does");
    }
    // First, while this thread is the only one that uses the heap.
    cost::report(if thorough { 200 } else { 2 })?;
    println!();
    let times = race(&observer::all()?, warm_up, rounds)?;
    let ratios = report(&times, rounds);
    if thorough {
        judge(&ratios);
    }
    Ok(())
}

/// Prints the table, and returns each median divided by that of the first, the thread in `poll(2)`.
fn report(times: &[Times], rounds: usize) -> Vec<(&Times, f64)> {
    println!("from the peer's close() to the user's code, {rounds} rounds each, microseconds");
    println!(
        "{:<20} {:<16} {:>8} {:>8} {:>12}",
        "", "runtime", "p50", "p99", "p50 / poll's"
    );
    let measure = times[0].microseconds(0.5);
    let mut ratios = Vec::new();
    for times in times {
        let (p50, p99) = (times.microseconds(0.5), times.microseconds(0.99));
        let ratio = p50 / measure;
        let Times { name, runtime, .. } = times;
        println!("{name:<20} {runtime:<16} {p50:>8.1} {p99:>8.1} {ratio:>12.2}");
        ratios.push((times, ratio));
    }
    ratios
}

/// Prints whether `hangup` reaches its target.
fn judge(ratios: &[(&Times, f64)]) {
    for (times, ratio) in ratios {
        if times.name == observer::HANGUP {
            println!(
                "target: p50 of hangup, {}, at most {TARGET} times the poll(2) thread's: {ratio:.2}, {}",
                times.runtime,
                if *ratio <= TARGET {
                    "reached"
                } else {
                    "missed"
                },
            );
        }
    }
}
