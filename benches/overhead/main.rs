//! What a `MonitoredStream` costs more than the bare stream.
//!
//! `cargo bench --bench overhead`. Without `--bench` (as `cargo test --benches` runs it) a short run
//! shows that it works; its figures mean nothing.
//!
//! Bare and monitored take turns in short slices, always bare, monitored, bare, and a slice is compared
//! with its two neighbours only: what slows the machine down slows all three. The two bare ones
//! compared with each other show how much of a difference is noise.

mod instructions;
mod loopback;
mod memory;
mod slices;

use slices::{Comparison, Meter};
use std::error::Error;
use std::thread;

/// The least part of the bare stream's throughput, in writes and reads of 64 KiB.
const THROUGHPUT: f64 = 0.98;

/// The most nanoseconds more for a small call.
const SMALL_CALL: f64 = 40.0;

fn main() -> Result<(), Box<dyn Error>> {
    let thorough = std::env::args().any(|argument| argument == "--bench");

    println!("{} cores", thread::available_parallelism()?);
    if !thorough {
        println!("a short run, too short to measure: `cargo bench --bench overhead` does");
    }
    let mut meter = match instructions::Counter::new() {
        Ok(counter) => Meter::new(Some(counter)),
        Err(why) => {
            println!("instructions: not available here ({why})");
            Meter::new(None)
        }
    };

    println!("\na stream in memory that is always ready, calls of 64 B");
    heading();
    let rounds = if thorough { 1000 } else { 2 };
    let mut small = Vec::new();
    for (name, comparison) in memory::compare(&mut meter, rounds)? {
        line(name, &comparison);
        small.push(("in memory", name, comparison.more_nanoseconds()));
    }

    println!("\nTCP over loopback, a thread with a large buffer, always awake, at the other end");
    heading();
    let rounds = if thorough { 200 } else { 2 };
    let mut large = Vec::new();
    for case in loopback::CASES {
        let comparison = loopback::compare(case, &mut meter, rounds)?;
        line(case.name, &comparison);
        match case.size {
            loopback::SMALL => small.push(("TCP", case.name, comparison.more_nanoseconds())),
            loopback::LARGE => large.push((case.name, comparison.throughput()[1])),
            _ => {}
        }
    }
    if thorough {
        judge(&small, &large);
    }
    Ok(())
}

fn heading() {
    println!(
        "{:<16} {:>8} {:>21} {:>21} {:>9} {:>7} {:>9} {:>7}",
        "", "bare", "monitored / bare", "bare / bare", "ns a call", "", "instr.", ""
    );
    println!(
        "{:<16} {:>8} {:>21} {:>21} {:>9} {:>7} {:>9} {:>7}",
        "", "MB/s", "p25 / p50 / p75", "p25 / p50 / p75", "bare", "more", "a call", "more"
    );
}

fn line(name: &str, comparison: &Comparison) {
    let ratios = |[low, middle, high]: [f64; 3]| format!("{low:.3} / {middle:.3} / {high:.3}");
    let instructions = match comparison.instructions() {
        Some((bare, more)) => format!("{bare:>9.1} {more:>7.1}"),
        None => format!("{:>9} {:>7}", "-", "-"),
    };
    println!(
        "{name:<16} {:>8.0} {:>21} {:>21} {:>9.1} {:>7.1} {instructions}",
        comparison.megabytes_per_second(),
        ratios(comparison.throughput()),
        ratios(comparison.noise()),
        comparison.nanoseconds(),
        comparison.more_nanoseconds(),
    );
}

/// Prints whether the targets are reached.
fn judge(small: &[(&str, &str, f64)], large: &[(&str, f64)]) {
    let word = |reached| if reached { "reached" } else { "missed" };
    println!();
    for (name, ratio) in large {
        let word = word(*ratio >= THROUGHPUT);
        println!("target: throughput of {name} at least {THROUGHPUT} of bare: {ratio:.3}, {word}");
    }
    for (place, name, more) in small {
        let word = word(*more <= SMALL_CALL);
        println!("target: {name}, {place}, at most {SMALL_CALL} ns more a call: {more:.1}, {word}");
    }
}
