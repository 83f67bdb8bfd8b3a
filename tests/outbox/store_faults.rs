//! Stores that fail, panic, or block.

use crate::memory_store::{Call, MemoryStore};
use crate::wire::{confirm_all, line, outbox};
use bytes::Bytes;
use futures::SinkExt;
use hangup::outbox::*;
use std::io;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);
const TTL: Importance = Importance::BestEffort { ttl: LONG };

#[tokio::test(start_paused = true)]
async fn a_failing_removal_is_retried_ever_later() {
    let store = MemoryStore::default();
    store.fail_remove(true);
    let (builder, mut wire) = outbox();
    let outbox = builder.durable_nonblocking(store.clone()).spawn().unwrap();
    tokio::spawn(confirm_all(wire.accept().await));
    for id in 0..10_000 {
        drop(outbox.send(format!("{id} a")).await.unwrap());
    }
    let mut states = outbox.subscribe();
    drop(states.wait_for(|status| status.queued == 0).await.unwrap());
    tokio::time::sleep(Duration::from_secs(100)).await;
    let removals = || {
        store
            .calls()
            .iter()
            .filter(|call| matches!(call, Call::Remove(_)))
            .count()
    };
    assert!((2..=12).contains(&removals()), "{}", removals());
    store.fail_remove(false);
    tokio::time::sleep(LONG * 2).await;
    assert_eq!(store.numbers(), [0_u64; 0]);
}

/// A `send` was cancelled, and then the store panicked: best effort was stuck behind it for ever.
#[tokio::test(start_paused = true)]
async fn a_store_that_panics_fails_its_messages_only() {
    let store = MemoryStore::default();
    let (builder, mut wire) = outbox();
    let outbox = builder.durable_nonblocking(store.clone()).spawn().unwrap();
    store.panic();
    let mut cancelled = tokio_test::task::spawn(outbox.send("1 cancelled".to_string()));
    tokio_test::assert_pending!(cancelled.poll());
    drop(cancelled);
    let error = outbox.send("2 important".to_string()).await.unwrap_err();
    let RefusedReason::NotStored(why) = error.reason() else {
        panic!("{error}")
    };
    assert!(why.to_string().contains("panicked"), "{why}");
    let receipt = outbox
        .send_with("3 fleeting".to_string(), TTL)
        .await
        .unwrap();
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "3 fleeting");
    peer.send("ok 3").await.unwrap();
    receipt.await.unwrap();
    assert!(outbox.shutdown(LONG).await.is_complete());
}

#[tokio::test(start_paused = true)]
async fn best_effort_alone_does_not_touch_the_store() {
    let store = MemoryStore::default();
    let (builder, mut wire) = outbox();
    let outbox = builder.durable_nonblocking(store.clone()).spawn().unwrap();
    tokio::spawn(confirm_all(wire.accept().await));
    for id in 0..100 {
        drop(outbox.send_with(format!("{id} a"), TTL).await.unwrap());
    }
    assert!(outbox.shutdown(LONG).await.is_complete());
    assert_eq!(store.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_stored_comes_back_and_is_not_sent() {
    let store = MemoryStore::default();
    let (builder, mut wire) = outbox();
    let outbox = builder.durable_nonblocking(store.clone()).spawn().unwrap();
    store.fail_append(true);
    let error = outbox.send("1 a".to_string()).await.unwrap_err();
    assert!(matches!(error.reason(), RefusedReason::NotStored(_)));
    store.fail_append(false);
    drop(outbox.send(error.into_message()).await.unwrap());
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "1 a");
    assert_eq!(outbox.status().queued, 1);
    // What a shutdown leaves is the next outbox's, under its number.
    let report = outbox.shutdown(Duration::ZERO).await;
    assert_eq!(report.undelivered(), ["1 a"]);
    assert_eq!(store.numbers(), [1]);
}

/// Its calls come back when the test says so.
struct Blocking(Arc<Barrier>);

impl Store for Blocking {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        Ok(Vec::new())
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Ok(0)
    }

    fn append(&mut self, _: &[(u64, Bytes)]) -> io::Result<()> {
        self.0.wait();
        Ok(())
    }

    fn remove(&mut self, _: &[u64]) -> io::Result<()> {
        Ok(())
    }
}

/// A shutdown of 500 ms took as long as the disk.
#[tokio::test]
async fn a_shutdown_does_not_wait_for_the_disk() {
    let barrier = Arc::new(Barrier::new(2));
    let (builder, _wire) = outbox();
    let outbox = builder.durable(Blocking(barrier.clone())).spawn().unwrap();
    let mut sending = tokio_test::task::spawn(outbox.send("1 a".to_string()));
    tokio_test::assert_pending!(sending.poll());
    let began = Instant::now();
    let within = Duration::from_millis(500);
    let (first, second) = tokio::join!(outbox.shutdown(within), outbox.shutdown(within));
    let third = outbox.shutdown(within).await;
    // One second for the store, from each call on, and room for a busy machine.
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    for report in [first, second, third] {
        assert_eq!(report.undelivered(), ["1 a"]);
        assert!(!report.is_store_closed());
    }
    tokio::task::spawn_blocking(move || barrier.wait())
        .await
        .unwrap();
    let last = outbox.shutdown(LONG).await;
    assert!(last.is_store_closed());
}

/// Has room for one message, and panics when that one is removed.
#[derive(Default)]
struct Fragile(Vec<(u64, Bytes)>);

impl Store for Fragile {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        Ok(self.0.clone())
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Ok(0)
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        if !self.0.is_empty() {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.0.extend(batch.iter().cloned());
        Ok(())
    }

    fn remove(&mut self, _: &[u64]) -> io::Result<()> {
        panic!("the store of the test");
    }
}

/// A sender that waited for room in it waited forever.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_room_in_a_store_that_is_gone() {
    let (builder, mut wire) = outbox();
    let outbox = builder
        .durable_nonblocking(Fragile::default())
        .spawn()
        .unwrap();
    let first = outbox.send("1 a".to_string()).await.unwrap();
    let mut waits = tokio_test::task::spawn(outbox.send("2 b".to_string()));
    tokio_test::assert_pending!(waits.poll());
    tokio::spawn(async move { confirm_all(wire.accept().await).await });
    first.await.unwrap();
    let error = tokio::time::timeout(LONG, waits)
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
}
