//! Those who wait for the end of a stream, on another runtime than its own.

use crate::waiting::{LONGEST, woken};
use anyhow::{Context, bail, ensure};
use hangup::{CloseReason, Monitor, Status};
use std::future::Future;
use std::sync::Arc;
use std::task::{self, Wake, Waker};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

/// What the panics of planned wakers say.
const PLANNED: &str = "a planned panic";

/// Prints the panics that are not planned.
pub(crate) fn hush_planned_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref() != Some(&PLANNED) {
            print(info);
        }
    }));
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        std::panic::panic_any(PLANNED);
    }
}

/// The observers of one stream.
pub(crate) struct Observers {
    monitor: Monitor,
    tasks: Vec<JoinHandle<anyhow::Result<CloseReason>>>,
    prober: Option<JoinHandle<()>>,
}

impl Observers {
    /// Random ones, and always one future.
    pub(crate) fn new(monitor: &Monitor, there: &Handle, random: &mut fastrand::Rng) -> Self {
        let mut tasks = Vec::new();
        if random.u8(..8) == 0 {
            let mut closed = Box::pin(monitor.closed());
            let panics = Waker::from(Arc::new(Panics));
            let polled = closed
                .as_mut()
                .poll(&mut task::Context::from_waker(&panics));
            let beside = monitor.closed();
            let registered = polled.is_pending();
            tasks.push(there.spawn(async move {
                ensure!(registered, "closed at once");
                let reason = woken("a future beside a panicking waker", beside).await;
                // Its waker is registered until here.
                drop(closed);
                reason
            }));
        }
        let closed = monitor.closed();
        tasks.push(there.spawn(async move { woken("a future", closed).await }));
        if random.u8(..16) == 0 {
            let mut status = monitor.subscribe();
            tasks.push(there.spawn(async move {
                let last = woken("the channel", status.wait_for(Status::is_closed))
                    .await??
                    .clone();
                match last {
                    Status::Closed(reason) => Ok(reason),
                    status => bail!("the channel ended with {status}"),
                }
            }));
        }
        if random.u8(..16) == 0 {
            let (token, monitor) = (monitor.cancellation_token(), monitor.clone());
            tasks.push(there.spawn(async move {
                woken("the token", token.cancelled()).await?;
                monitor
                    .close_reason()
                    .context("no reason under a cancelled token")
            }));
        }
        let prober = (random.u8(..4) == 0).then(|| {
            let monitor = monitor.clone();
            there.spawn(async move {
                while !monitor.probe().is_closed() {
                    yield_now().await;
                }
            })
        });
        Self {
            monitor: monitor.clone(),
            tasks,
            prober,
        }
    }

    /// The reason, which all tell.
    pub(crate) async fn reason(self) -> anyhow::Result<CloseReason> {
        let mut told = None;
        for task in self.tasks {
            let reason = task.await??;
            let first = told.get_or_insert_with(|| reason.clone());
            ensure!(*first == reason, "told as {first} and as {reason}");
        }
        let reason = told.context("no observer")?;
        ensure!(self.monitor.is_closed(), "{reason}, and not closed");
        ensure!(
            self.monitor.close_reason() == Some(reason.clone()),
            "the reason changed"
        );
        if let Some(prober) = self.prober {
            timeout(LONGEST, prober)
                .await
                .context("a probe found nothing")??;
        }
        Ok(reason)
    }
}
