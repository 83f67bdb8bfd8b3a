//! What it costs to keep messages on disk before they count as accepted.

use super::compare::connect;
use super::peer::Peer;
use bytes::Bytes;
use hangup::outbox::{DiskStore, Fsync, Outbox};
use std::error::Error;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio_util::codec::LengthDelimitedCodec;

const SIZE: usize = 100;

/// Prints a line for each number of senders: each of them sends its next message when the one before was
/// accepted, so that so many messages at most share a commit. The file is in the directory for temporary
/// files: `TMPDIR` names another disk.
pub(crate) fn rows(time: Duration) -> Result<(), Box<dyn Error>> {
    println!(
        "{:<16} {:>8} {:>18} {:>18}",
        "durable, senders", "bytes", "Fsync::Each, /s", "Fsync::Never, /s"
    );
    for senders in [1, 10, 100] {
        println!(
            "{senders:<16} {SIZE:>8} {:>18.0} {:>18.0}",
            rate(senders, Fsync::Each, time)?,
            rate(senders, Fsync::Never, time)?
        );
    }
    Ok(())
}

fn rate(senders: usize, fsync: Fsync, time: Duration) -> Result<f64, Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("hangup-bench-{}", std::process::id()));
    let store = DiskStore::open(&path, fsync)?;
    let peer = Peer::new()?;
    // It drains all there is, without an end.
    let drained = peer.expect(u64::MAX);
    let address = peer.address();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let rate = runtime.block_on(async {
        let outbox = Outbox::builder(move || connect(address), LengthDelimitedCodec::new)
            .durable(store)
            .spawn()?;
        let message = Bytes::from(vec![7; SIZE]);
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..senders {
            let (outbox, message) = (outbox.clone(), message.clone());
            tasks.spawn(async move {
                let mut sent = 0;
                while sent == 0 || began.elapsed() < time {
                    drop(outbox.send(message.clone()).await?);
                    sent += 1;
                }
                Ok::<u64, hangup::outbox::OutboxError<Bytes>>(sent)
            });
        }
        let mut sent = 0;
        while let Some(done) = tasks.join_next().await {
            sent += done??;
        }
        let elapsed = began.elapsed();
        outbox.shutdown(Duration::ZERO).await;
        Ok::<_, Box<dyn Error>>(sent as f64 / elapsed.as_secs_f64())
    });
    drop(drained);
    std::fs::remove_file(path)?;
    rate
}
