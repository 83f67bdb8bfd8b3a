//! Whole histories of an outbox, drawn from a seed: a network that cuts, delays and swallows, a peer that hangs and
//! talks nonsense, a host that acknowledges what its program never reads, a store that fails, senders that give up, shutdowns, crashes and restarts. Time is simulated, so
//! that a history of minutes takes milliseconds, and a seed always repeats the same history.
//!
//! More seeds, and one of them:
//!
//! ```sh
//! HANGUP_SEEDS=100000 cargo test --release --features outbox,test-util --test outbox_simulation -- --nocapture
//! HANGUP_SEED=42 cargo test --features outbox,test-util --test outbox_simulation -- --nocapture
//! ```
//!
//! With `HANGUP_COUNT=1` a failure does not end the run, and the failures are counted: for faults that are put back by hand.
//!
//! What is checked stands in `checks.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checks;
mod distracted;
mod history;
mod host;
mod known;
mod message;
mod network;
mod peer;
mod plan;
mod room;
mod sinks;
mod store;
mod stream;
mod summary;
mod watchdog;

use std::env;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;
use summary::Summary;
use watchdog::Watchdog;

fn number(name: &str) -> Option<u64> {
    let number = env::var(name).ok()?;
    Some(
        number
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {number}")),
    )
}

#[test]
fn every_history_ends_well() {
    if let Some(seed) = number("HANGUP_SEED") {
        println!("seed {seed}: {:?}", history::run(seed));
        return;
    }
    let first = number("HANGUP_FIRST_SEED").unwrap_or(0);
    let seeds = number("HANGUP_SEEDS").unwrap_or(2000);
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let mut total = Summary::default();
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| run_until(first + seeds, &next)))
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(summary) => total.add(&summary),
                Err(failure) => resume_unwind(failure),
            }
        }
    });
    println!("{seeds} histories in {:.1?}: {total:?}", began.elapsed());
    assert_eq!(total.failed, 0, "histories have failed");
}

/// Runs histories until the next seed is `end`. Several threads share `next`.
fn run_until(end: u64, next: &AtomicU64) -> Summary {
    let mut total = Summary::default();
    let counts = number("HANGUP_COUNT").is_some();
    let watchdog = Watchdog::start();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return total;
        }
        watchdog.begin(seed);
        match catch_unwind(AssertUnwindSafe(|| history::run(seed))) {
            Ok(summary) => total.add(&summary),
            Err(_) if counts => {
                println!("seed {seed} failed");
                total.failed += 1;
            }
            Err(_) => {
                // The other threads end too.
                next.store(end, Ordering::Relaxed);
                panic!("seed {seed} failed; it repeats with HANGUP_SEED={seed}");
            }
        }
    }
}

/// Two runs of one seed are the same, to the last message and the last millisecond.
#[test]
fn a_seed_repeats_its_history() {
    for seed in 0..20 {
        assert_eq!(history::run(seed), history::run(seed), "seed {seed}");
    }
}
