//! Best-effort messages fill the outbox while there is no connection: important ones get their room.

#![cfg(feature = "outbox")]

use hangup::outbox::{Connection, Importance, Outbox, UndeliveredReason};
use std::future::pending;
use std::io;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::codec::LinesCodec;

const COUNT: usize = 10;
const TTL: Duration = Duration::from_millis(50);

/// An outbox whose first connection is never made, full of best-effort messages.
fn full() -> Outbox<String> {
    let outbox = Outbox::builder(pending::<io::Result<Connection>>, LinesCodec::new)
        .capacity(1000, COUNT)
        .spawn()
        .unwrap();
    let importance = Importance::BestEffort { ttl: TTL };
    while outbox.try_send_with("telemetry".into(), importance).is_ok() {}
    assert_eq!(outbox.status().queued, COUNT);
    outbox
}

#[tokio::test(start_paused = true)]
async fn when_their_time_is_over() {
    let outbox = full();
    let began = Instant::now();
    let mut receipts = Vec::new();
    for _ in 0..COUNT {
        receipts.push(outbox.send("event".into()).await.unwrap());
    }
    let waited = began.elapsed();
    assert!(waited <= 2 * TTL, "{waited:?}");
    assert_eq!(outbox.status().dropped, COUNT as u64);

    let left = outbox.shutdown(Duration::ZERO).await;
    assert_eq!(left.undelivered(), vec!["event"; COUNT]);
    for receipt in receipts {
        assert_eq!(
            *receipt.await.unwrap_err().reason(),
            UndeliveredReason::ShutDown
        );
    }
}
