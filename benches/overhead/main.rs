//! What a `MonitoredStream` costs more than the bare stream.
//!
//! `cargo bench --bench overhead`. Without `--bench` (as `cargo test --benches` runs it) a short run
//! shows that it works; its figures mean nothing.
//!
//! Bare and monitored take turns in short slices, always bare, monitored, bare, and a slice is compared
//! with its two neighbours only: what slows the machine down slows all three. The two bare ones
//! compared with each other show how much of a difference is noise.

mod instructions;
mod life;
mod loopback;
mod memory;
mod ready;
mod slices;

use slices::{Comparison, Meter, Quartiles};
use std::error::Error;
use std::thread;
use std::time::Duration;

/// The least part of the bare stream's throughput, in writes and reads of 64 KiB.
const THROUGHPUT: f64 = 0.99;

/// The most nanoseconds more for a small call.
const SMALL_CALL: f64 = 40.0;

/// For how long each case is measured.
const TIME: Duration = Duration::from_secs(4);

fn main() -> Result<(), Box<dyn Error>> {
    let thorough = std::env::args().any(|argument| argument == "--bench");

    let time = if thorough { TIME } else { Duration::ZERO };
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
    let mut small = Vec::new();
    for (name, comparison) in memory::compare(&mut meter, time)? {
        line(name, &comparison);
        small.push(("in memory", name, comparison.more_nanoseconds()));
    }

    println!("\nTCP over loopback, a thread with a large buffer, always awake, at the other end");
    heading();
    let mut large = Vec::new();
    for case in loopback::CASES {
        let comparison = loopback::compare(case, &mut meter, time)?;
        line(case.name, &comparison);
        match case.size {
            loopback::SMALL => small.push(("TCP", case.name, comparison.more_nanoseconds())),
            loopback::LARGE => large.push((case.name, comparison.throughput())),
            _ => {}
        }
    }
    let life = life::measure(thorough)?;
    println!("\na stream's beginning and end, ns");
    println!("unwatched, made and dropped      {:>8.0}", life.unwatched);
    println!("TCP, wrapped and taken out again {:>8.0}", life.watched);
    if thorough {
        judge(&small, &large);
    }
    Ok(())
}

fn heading() {
    println!(
        "{:<16} {:>8} {:>21} {:>8} {:>21} {:>9} {:>7} {:>9} {:>7}",
        "", "bare", "monitored / bare", "fastest", "bare / bare", "ns a call", "", "instr.", ""
    );
    println!(
        "{:<16} {:>8} {:>21} {:>8} {:>21} {:>9} {:>7} {:>9} {:>7}",
        "", "MB/s", "p25 / p50 / p75", "tenth", "p25 / p50 / p75", "bare", "more", "a call", "more"
    );
}

fn line(name: &str, comparison: &Comparison) {
    let ratios = |ratios: Quartiles| {
        let Quartiles {
            low, median, high, ..
        } = ratios;
        format!("{low:.3} / {median:.3} / {high:.3}")
    };
    let instructions = match comparison.instructions() {
        Some((bare, more)) => format!("{bare:>9.1} {more:>7.1}"),
        None => format!("{:>9} {:>7}", "-", "-"),
    };
    println!(
        "{name:<16} {:>8.0} {:>21} {:>8.3} {:>21} {:>9.1} {:>7.1} {instructions}",
        comparison.megabytes_per_second(),
        ratios(comparison.throughput()),
        comparison.fastest_throughput(),
        ratios(comparison.noise()),
        comparison.nanoseconds(),
        comparison.more_nanoseconds().median,
    );
}

/// Prints whether the targets are reached.
fn judge(small: &[(&str, &str, Quartiles)], large: &[(&str, Quartiles)]) {
    println!();
    for (name, ratio) in large {
        let (median, off) = (ratio.median, ratio.uncertainty());
        println!(
            "target: throughput of {name} at least {THROUGHPUT} of bare: {median:.3} ± {off:.3}, {}",
            verdict(median - THROUGHPUT, off),
        );
    }
    for (place, name, more) in small {
        let (median, off) = (more.median, more.uncertainty());
        println!(
            "target: {name}, {place}, at most {SMALL_CALL} ns more a call: {median:.1} ± {off:.1}, {}",
            verdict(SMALL_CALL - median, off),
        );
    }
}

/// By how much a target is reached, and how far that may be off.
fn verdict(margin: f64, off: f64) -> &'static str {
    match (margin >= 0.0, margin.abs() > off) {
        (true, true) => "reached",
        (true, false) => "reached, but within the noise",
        (false, true) => "missed",
        (false, false) => "missed, but within the noise",
    }
}
