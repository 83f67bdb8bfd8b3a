//! The age of the oldest message, in memory and in the store.

use crate::memory_store::MemoryStore;
use crate::wire::{Lines, line, outbox};
use futures::SinkExt;
use hangup::outbox::*;
use std::time::Duration;

const STEP: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// Asserts that the oldest message has this age, which may be shown too high by a second.
#[track_caller]
fn assert_age(outbox: &Outbox<String>, age: Duration) {
    let shown = outbox.status().oldest.expect("there is a message");
    assert!(
        shown >= age && shown <= age + SECOND,
        "{shown:?}, not {age:?}"
    );
}

async fn confirm(peer: &mut Lines, id: u32) {
    assert_eq!(line(peer).await, format!("{id} a"));
    peer.send(format!("ok {id}")).await.unwrap();
}

/// Memory has room for two. A message that came back from the store was shown as if it had just been accepted.
#[tokio::test(start_paused = true)]
async fn a_message_keeps_its_age_in_the_store() {
    let (builder, mut wire) = outbox();
    let outbox = builder
        .durable_nonblocking(MemoryStore::default())
        .capacity(1000, 2)
        .spawn()
        .unwrap();
    let mut receipts = Vec::new();
    for id in 0..6 {
        receipts.push(outbox.send(format!("{id} a")).await.unwrap());
        tokio::time::sleep(STEP).await;
    }
    assert_eq!(outbox.status().on_disk, 4);
    assert_age(&outbox, 6 * STEP);
    let mut peer = wire.accept().await;
    for (id, receipt) in receipts.into_iter().enumerate() {
        let left = 6 - id as u32;
        assert_age(&outbox, left * STEP);
        confirm(&mut peer, id as u32).await;
        receipt.await.unwrap();
    }
    assert_eq!(outbox.status().oldest, None);
}

/// While memory holds nothing but newer best effort, the oldest message is in the store.
#[tokio::test(start_paused = true)]
async fn the_oldest_message_is_only_in_the_store() {
    let (builder, mut wire) = outbox();
    let store = MemoryStore::default();
    let outbox = builder
        .durable_nonblocking(store.clone())
        .capacity(1000, 2)
        .spawn()
        .unwrap();
    let mut peer = wire.accept().await;
    let mut receipts = Vec::new();
    for id in 0..3 {
        receipts.push(outbox.send(format!("{id} a")).await.unwrap());
    }
    store.fail_recover(true);
    tokio::time::sleep(STEP).await;
    for (id, receipt) in receipts.drain(..2).enumerate() {
        confirm(&mut peer, id as u32).await;
        receipt.await.unwrap();
    }
    assert_eq!((outbox.status().queued, outbox.status().on_disk), (1, 1));
    assert_age(&outbox, STEP);
    let ttl = Duration::from_secs(60);
    let effort = Importance::BestEffort { ttl };
    drop(outbox.send_with("9 a".to_string(), effort).await.unwrap());
    assert_age(&outbox, STEP);
    store.fail_recover(false);
    confirm(&mut peer, 2).await;
    receipts.remove(0).await.unwrap();
}

/// A store keeps no times: what an earlier outbox has left counts from the start.
#[tokio::test(start_paused = true)]
async fn what_an_earlier_outbox_has_left_counts_from_the_start() {
    let store = MemoryStore::default();
    for (number, record) in [(0, b"0 a"), (1, b"1 a"), (2, b"2 a")] {
        store.put(number, record);
    }
    let (builder, mut wire) = outbox();
    let outbox = builder
        .durable_nonblocking(store)
        .capacity(1000, 1)
        .spawn()
        .unwrap();
    let mut peer = wire.accept().await;
    for id in 0..3 {
        tokio::time::sleep(STEP).await;
        assert_age(&outbox, (id + 1) * STEP);
        confirm(&mut peer, id).await;
    }
    assert!(outbox.shutdown(STEP).await.is_complete());
}
