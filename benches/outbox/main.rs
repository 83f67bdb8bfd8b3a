//! What an outbox costs beside a bare `FramedWrite` of the same codec.
//!
//! `cargo bench --features outbox --bench outbox`, or with `--features durable` for what that costs too.
//! Without `--bench` (as `cargo test --benches` runs it) a short run shows that it works; its figures mean
//! nothing.

mod clock;
mod compare;
mod count;
#[cfg(feature = "durable")]
mod durable;
mod memory;
mod peer;
mod watched;

use compare::{CASES, Case, FED, Measured, compare};
use std::error::Error;
use std::time::Duration;
use tokio::runtime::Builder;

/// For how long each case is measured.
const TIME: Duration = Duration::from_secs(6);

/// The most bytes beside its own that a queued message takes.
const OVERHEAD: f64 = 64.0;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(count) = count::wanted() {
        return count::send(count);
    }
    let thorough = std::env::args().any(|argument| argument == "--bench");
    let time = if thorough { TIME } else { Duration::ZERO };
    if !thorough {
        println!(
            "a short run, too short to measure: `cargo bench --features outbox --bench outbox` does"
        );
    }
    let mut missed = false;

    println!(
        "{:<16} {:<8} {:>8} {:>14} {:>14} {:>7} {:>16}",
        "runtime", "by", "bytes", "bare, /s", "outbox, /s", "ratio", "quartiles"
    );
    for case in CASES.iter().chain([&FED]) {
        for (name, runtime) in [
            (
                "multi-thread",
                Builder::new_multi_thread().enable_all().build()?,
            ),
            (
                "current-thread",
                Builder::new_current_thread().enable_all().build()?,
            ),
        ] {
            let mut measured = compare(&runtime, case, time, clock::elapsed)?;
            missed |= line(&mut measured, name, case) < case.least;
        }
        #[cfg(target_os = "linux")]
        {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let mut measured = compare(&runtime, case, time, clock::of_thread)?;
            line(&mut measured, "its thread's CPU", case);
        }
    }

    println!();
    for (name, runtime) in [
        (
            "multi-thread",
            Builder::new_multi_thread().enable_all().build()?,
        ),
        (
            "current-thread",
            Builder::new_current_thread().enable_all().build()?,
        ),
    ] {
        let mut ratios = watched::ratios(&runtime, time)?;
        let quartiles = [1, 2, 3].map(|which| quartile(&mut ratios, which));
        let [low, median, high] = quartiles;
        println!("{name:<16} with a subscriber of the status: {median:.3} ({low:.3} to {high:.3})");
    }

    #[cfg(feature = "durable")]
    {
        println!();
        durable::rows(time / 4)?;
    }

    println!();
    for (what, bytes) in memory::per_message()? {
        println!("{bytes:>6.1} bytes beside its own for a queued message: {what}");
        missed |= bytes > OVERHEAD;
    }
    if thorough && missed {
        return Err("a figure is not what it should be".into());
    }
    Ok(())
}

/// Prints a line. Returns the median of the ratios.
fn line(measured: &mut Measured, name: &str, case: &Case) -> f64 {
    let ratio = quartile(&mut measured.ratios, 2);
    println!(
        "{name:<16} {:<8} {:>8} {:>14.0} {:>14.0} {ratio:>7.3} {:>16}",
        if case.receipts { "send" } else { "feed" },
        case.size,
        quartile(&mut measured.bare, 2),
        quartile(&mut measured.outbox, 2),
        format!(
            "{:.3} to {:.3}",
            quartile(&mut measured.ratios, 1),
            quartile(&mut measured.ratios, 3)
        ),
    );
    ratio
}

fn quartile(values: &mut [f64], which: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * which / 4]
}
