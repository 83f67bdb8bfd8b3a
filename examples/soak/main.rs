//! Random streams, HTTP clients and outboxes, for as long as you like, and a check of all that the library promises.
//!
//! ```sh
//! cargo run --release --example soak -- --minutes 10 --seed 1
//! ```
//!
//! Three things run at the same time, on two runtimes, in one process:
//!
//! * `streams`: each has a random kind, role, configuration and way of ending, and observers on the other runtime:
//!   futures, a channel, a token, a prober, wakers that panic;
//! * `server`: a server of files, of an endless response and of refusals, whose clients leave in all ways;
//! * `outbox`: outboxes whose peer closes and resets their connections.
//!
//! Each folder opens with what it checks.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "../program/print.rs"]
mod print;
mod counts;
mod growth;
mod options;
mod outbox;
mod server;
mod streams;
mod waiting;
mod work;

use anyhow::{Context, ensure};
use clap::Parser;
use counts::Counts;
use growth::Growth;
use options::Options;
use server::Site;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use streams::Endpoints;
use tokio::runtime::{Builder, Handle, Runtime};
use work::Work;

/// What the workers share.
struct Soak {
    runtimes: [Handle; 2],
    endpoints: Endpoints,
    counts: Counts,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    streams::hush_planned_panics();
    let runtime = || {
        Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
    };
    let runtimes: [Runtime; 2] = [runtime()?, runtime()?];
    let soak = Arc::new(Soak {
        runtimes: runtimes.each_ref().map(|runtime| runtime.handle().clone()),
        endpoints: runtimes[0].block_on(Endpoints::new())?,
        counts: Counts::default(),
    });
    let run = runtimes[0].block_on(run(&soak, options));
    for runtime in runtimes {
        runtime.shutdown_timeout(Duration::from_secs(10));
    }
    let (done, seed) = (soak.counts.now(), options.seed);
    run.with_context(|| format!("after {done}, seed {seed}"))?;
    say!("{done}, seed {seed}: no breach");
    Ok(())
}

/// A first tenth of the time, or a second, fills caches and slots. What is in use then is what may be in use at the end.
async fn run(soak: &Arc<Soak>, options: Options) -> anyhow::Result<()> {
    let time = options.minutes;
    let warm_up = (time / 10).max(Duration::from_secs(1));
    phase(soak, options, options.seed, warm_up).await?;
    let growth = Growth::begin().await?;
    let before = soak.counts.now();
    phase(soak, options, !options.seed, time.saturating_sub(warm_up)).await?;
    let done = soak.counts.now().since(before);
    ensure!(done.is_complete(), "{done} in {time:?}");
    growth.end(done).await
}

/// All workers, for `time`, and a server for them.
async fn phase(
    soak: &Arc<Soak>,
    options: Options,
    seed: u64,
    time: Duration,
) -> anyhow::Result<()> {
    let site = Arc::new(Site::open().await?);
    let mut work = Work::new(&soak.runtimes, seed);
    for _ in 0..options.streams {
        let soak = soak.clone();
        work.repeat(move |there, mut random| {
            let soak = soak.clone();
            async move {
                streams::live(&soak.endpoints, &there, &mut random).await?;
                soak.counts.streams.fetch_add(1, Relaxed);
                Ok(())
            }
        });
    }
    for _ in 0..options.clients {
        let (soak, site) = (soak.clone(), site.clone());
        work.repeat(move |_, mut random| {
            let (soak, site) = (soak.clone(), site.clone());
            async move {
                server::visit(&site, &mut random).await?;
                soak.counts.clients.fetch_add(1, Relaxed);
                Ok(())
            }
        });
    }
    for _ in 0..options.outboxes {
        let soak = soak.clone();
        work.repeat(move |there, mut random| {
            let soak = soak.clone();
            async move { outbox::live(&there, &soak.counts.messages, &mut random).await }
        });
    }
    work.run(time, &soak.counts).await?;
    site.close().await
}
