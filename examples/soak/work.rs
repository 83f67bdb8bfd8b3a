//! Workers that repeat one thing until the time is over.

use crate::counts::Counts;
use crate::growth;
use anyhow::Context;
use fastrand::Rng;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

/// The workers, spread over two runtimes.
pub(crate) struct Work {
    runtimes: [Handle; 2],
    random: Rng,
    is_over: Arc<AtomicBool>,
    workers: JoinSet<anyhow::Result<()>>,
}

impl Work {
    /// No workers yet. `seed` decides what they draw.
    pub(crate) fn new(runtimes: &[Handle; 2], seed: u64) -> Self {
        Self {
            runtimes: runtimes.clone(),
            random: Rng::with_seed(seed),
            is_over: Arc::default(),
            workers: JoinSet::new(),
        }
    }

    /// Starts a worker. `step` gets the runtime that the worker does not run on.
    pub(crate) fn repeat<F>(&mut self, mut step: impl FnMut(Handle, Rng) -> F + Send + 'static)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let [here, there] = self.runtimes.clone();
        let is_over = self.is_over.clone();
        let mut random = self.random.fork();
        let worker = async move {
            while !is_over.load(Relaxed) {
                step(there.clone(), random.fork()).await?;
            }
            Ok(())
        };
        self.workers.spawn_on(worker, &here);
        // The next one runs on the other runtime.
        self.runtimes.swap(0, 1);
    }

    /// Runs for `time`, prints a line in each second, and waits for the workers' last steps. Fails with the first worker that
    /// fails.
    pub(crate) async fn run(mut self, time: Duration, counts: &Counts) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut second = interval(Duration::from_secs(1));
        let mut before = counts.now();
        loop {
            tokio::select! {
                ended = self.workers.join_next() => match ended {
                    None => return Ok(()),
                    Some(ended) => ended.context("a worker panicked")??,
                },
                _ = second.tick() => {
                    let (seconds, now) = (began.elapsed().as_secs_f64(), counts.now());
                    say!("{seconds:>5.0} s  {}  {}", now.since(before), growth::now()?);
                    before = now;
                }
                () = sleep(time.saturating_sub(began.elapsed())), if !self.is_over.load(Relaxed) => {
                    self.is_over.store(true, Relaxed);
                }
            }
        }
    }
}
