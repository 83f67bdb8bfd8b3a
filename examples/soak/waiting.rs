//! How long to wait for what must come.

use anyhow::{Context, ensure};
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What has not come after this time does not come.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// Waits for `future`, which has to be woken by something else than our timer: `timeout` polls it once more at its end, and
/// would find what no waker was called for.
pub(crate) async fn woken<F: Future>(what: &'static str, future: F) -> anyhow::Result<F::Output> {
    let began = Instant::now();
    let output = within(what, future).await?;
    ensure!(began.elapsed() < LONGEST, "{what}: nobody woke it");
    Ok(output)
}

/// Waits for `future`. Fails if it takes too long.
pub(crate) async fn within<F: Future>(what: &'static str, future: F) -> anyhow::Result<F::Output> {
    let output = timeout(LONGEST, future).await;
    output.with_context(|| format!("{what}: not after {LONGEST:?}"))
}
