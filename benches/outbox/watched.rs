//! What a subscriber of the status costs.

use super::compare::connect;
use super::peer::Peer;
use bytes::Bytes;
use hangup::outbox::Outbox;
use std::error::Error;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_util::codec::LengthDelimitedCodec;

const SIZE: usize = 100;

/// Messages of a slice: for about 30 ms.
const COUNT: usize = 200_000;

/// Reads each status in a task, until the outbox ends.
pub(crate) fn watch(outbox: &Outbox<Bytes>) {
    let mut states = outbox.subscribe();
    tokio::spawn(async move {
        while states.changed().await.is_ok() {
            drop(states.borrow_and_update().clone());
        }
    });
}

/// An outbox and its peer.
struct Line {
    outbox: Outbox<Bytes>,
    peer: Peer,
}

impl Line {
    fn new(runtime: &Runtime, watched: bool) -> Result<Self, Box<dyn Error>> {
        let _entered = runtime.enter();
        let peer = Peer::new()?;
        let address = peer.address();
        let outbox =
            Outbox::builder(move || connect(address), LengthDelimitedCodec::new).spawn()?;
        if watched {
            watch(&outbox);
        }
        Ok(Self { outbox, peer })
    }

    /// Messages a second of a slice.
    fn rate(&self, runtime: &Runtime) -> Result<f64, Box<dyn Error>> {
        let (sender, message) = (self.outbox.clone(), Bytes::from(vec![7; SIZE]));
        let drained = self.peer.expect((COUNT * (4 + SIZE)) as u64);
        let began = Instant::now();
        runtime.block_on(async {
            let sends = async move {
                for _ in 0..COUNT {
                    drop(sender.send(message.clone()).await?);
                }
                Ok::<_, hangup::outbox::OutboxError<Bytes>>(())
            };
            tokio::spawn(sends).await??;
            drained.await?;
            Ok::<_, Box<dyn Error>>(COUNT as f64 / began.elapsed().as_secs_f64())
        })
    }
}

/// The ratios of a watched outbox to one that is not, in slices that take turns.
pub(crate) fn ratios(runtime: &Runtime, time: Duration) -> Result<Vec<f64>, Box<dyn Error>> {
    let (plain, watched) = (Line::new(runtime, false)?, Line::new(runtime, true)?);
    let began = Instant::now();
    let mut ratios = Vec::new();
    let mut before = plain.rate(runtime)?;
    while ratios.is_empty() || began.elapsed() < time {
        let rate = watched.rate(runtime)?;
        let after = plain.rate(runtime)?;
        ratios.push(2.0 * rate / (before + after));
        before = after;
    }
    Ok(ratios)
}
