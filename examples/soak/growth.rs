//! What the process has in use.

use crate::counts::Done;
use anyhow::{Context, ensure};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How many bytes more may be in use at the end: free chunks in the caches of threads count as in use. A leak of one byte
/// for each of a million streams is more.
const SLACK: u64 = 512 << 10;

/// How long what is left over may take to go: idle threads of the library end after five seconds.
const SETTLES: Duration = Duration::from_secs(12);

#[derive(Clone, Copy)]
struct Use {
    descriptors: usize,
    heap: u64,
}

impl Use {
    fn now() -> anyhow::Result<Self> {
        let heap = heapdelta::heap_info().context("the heap cannot be asked")?;
        Ok(Self {
            // One of them is the folder's own.
            descriptors: std::fs::read_dir("/proc/self/fd")?.count() - 1,
            heap: heap.heap_used + heap.mmap_used.unwrap_or(0),
        })
    }
}

/// For the line of each second.
pub(crate) fn now() -> anyhow::Result<String> {
    let Use { descriptors, heap } = Use::now()?;
    Ok(format!(
        "{descriptors:>4} descriptors {:>6} KiB",
        heap >> 10
    ))
}

/// What was in use when the machine was warm.
pub(crate) struct Growth(Use);

impl Growth {
    pub(crate) async fn begin() -> anyhow::Result<Self> {
        sleep(SETTLES / 2).await;
        Use::now().map(Self)
    }

    /// Fails if more is in use after all that was done meanwhile.
    pub(crate) async fn end(self, done: Done) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let (then, now) = (self.0, Use::now()?);
            let grown = now.heap.saturating_sub(then.heap);
            let fine = now.descriptors <= then.descriptors && grown <= SLACK;
            if fine || began.elapsed() > SETTLES {
                say!(
                    "in use before and after {done}: {} and {} descriptors, {} and {} KiB",
                    then.descriptors,
                    now.descriptors,
                    then.heap >> 10,
                    now.heap >> 10
                );
                ensure!(now.descriptors <= then.descriptors, "descriptors leak");
                ensure!(fine, "the heap has grown by {grown} bytes");
                return Ok(());
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}
