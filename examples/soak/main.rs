//! Random streams of all kinds, for as long as you like, and a check of all that the library promises about each.
//!
//! ```sh
//! cargo run --release --example soak -- --minutes 10 --seed 1
//! ```
//!
//! Each stream has a random kind, role, configuration and way of leaving, and observers on another runtime: futures,
//! a channel, a token, a prober, wakers that panic. It ends with a failure at the first wrong reason, the first
//! observer that is not woken, and if descriptors or memory have grown at the end.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "../program/print.rs"]
mod print;
mod growth;
mod streams;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use growth::Growth;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use streams::Endpoints;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

/// Runs random streams, prints how many in each second, and fails at the first breach of a promise.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// For how long streams are started
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    minutes: f64,
    /// What the choices are drawn from. The order of events is the scheduler's, so a seed repeats the choices alone
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How many streams there are at a time on each of the two runtimes
    #[arg(long, value_name = "N", default_value_t = 24)]
    at_once: u64,
}

/// What the tasks share.
struct Soak {
    endpoints: Endpoints,
    streams: AtomicU64,
    over: AtomicBool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let Ok(time) = Duration::try_from_secs_f64(args.minutes * 60.0) else {
        bail!("--minutes {} is no time", args.minutes);
    };
    streams::hush_planned_panics();
    let runtime = || {
        Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
    };
    let runtimes: [Runtime; 2] = [runtime()?, runtime()?];
    let handles = runtimes.each_ref().map(|runtime| runtime.handle().clone());
    let soak = Arc::new(Soak {
        endpoints: runtimes[0].block_on(Endpoints::new())?,
        streams: AtomicU64::new(0),
        over: AtomicBool::new(false),
    });
    let done = runtimes[0].block_on(run(&soak, &handles, args, time));
    for runtime in runtimes {
        runtime.shutdown_timeout(Duration::from_secs(10));
    }
    let streams = soak.streams.load(Relaxed);
    done.with_context(|| format!("after {streams} streams, seed {}", args.seed))?;
    say!("{streams} streams, seed {}: no breach", args.seed);
    Ok(())
}

/// A first tenth of the time, or a second, fills caches and slots. What is in use then is what may be in use at the end.
async fn run(
    soak: &Arc<Soak>,
    runtimes: &[Handle; 2],
    args: Args,
    time: Duration,
) -> anyhow::Result<()> {
    let warm_up = (time / 10).max(Duration::from_secs(1));
    phase(soak, runtimes, args, warm_up).await?;
    let growth = Growth::begin().await?;
    let before = soak.streams.load(Relaxed);
    phase(
        soak,
        runtimes,
        Args {
            seed: !args.seed,
            ..args
        },
        time.saturating_sub(warm_up),
    )
    .await?;
    let streams = soak.streams.load(Relaxed) - before;
    ensure!(streams > 0, "no stream in {time:?}");
    growth.end(streams).await
}

/// Starts streams for `time`, and waits for the last ones.
async fn phase(
    soak: &Arc<Soak>,
    runtimes: &[Handle; 2],
    args: Args,
    time: Duration,
) -> anyhow::Result<()> {
    soak.over.store(false, Relaxed);
    let mut tasks = JoinSet::new();
    for number in 0..args.at_once * 2 {
        let here = runtimes[number as usize % 2].clone();
        let there = runtimes[(number as usize + 1) % 2].clone();
        let soak = soak.clone();
        let mut random =
            fastrand::Rng::with_seed(args.seed.wrapping_mul(0x9e37).wrapping_add(number));
        let task = async move {
            while !soak.over.load(Relaxed) {
                streams::live(&soak.endpoints, &there, &mut random).await?;
                soak.streams.fetch_add(1, Relaxed);
            }
            anyhow::Ok(())
        };
        tasks.spawn_on(task, &here);
    }
    let began = Instant::now();
    let mut second = interval(Duration::from_secs(1));
    let mut before = soak.streams.load(Relaxed);
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => return Ok(()),
                Some(ended) => {
                    ended.context("a task panicked")??;
                }
            },
            _ = second.tick() => {
                let now = soak.streams.load(Relaxed);
                say!("{:>5.0} s {now:>9} streams {:>6} a second  {}", began.elapsed().as_secs_f64(), now - before, growth::now()?);
                before = now;
            }
            () = sleep(time.saturating_sub(began.elapsed())), if !soak.over.load(Relaxed) => {
                soak.over.store(true, Relaxed);
            }
        }
    }
}
