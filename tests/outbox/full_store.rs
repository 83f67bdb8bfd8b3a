//! Messages that a full store, or a full memory, keeps waiting.

use crate::memory_store::MemoryStore;
use crate::wire::{by_reply, confirm_all, line, outbox, wire};
use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use hangup::MonitoredStream;
use hangup::outbox::*;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_test::task;
use tokio_util::codec::{Encoder, LinesCodec};

const LONG: Duration = Duration::from_secs(60);
const AGE: Duration = Duration::from_secs(5);

/// An outbox whose peer is out of reach.
fn away() -> Builder<String> {
    let away = || async { Err::<MonitoredStream<DuplexStream>, _>(io::ErrorKind::NotFound.into()) };
    Outbox::builder(away, LinesCodec::new)
        .confirm(by_reply())
        .backoff([Duration::from_secs(3600); 10])
}

/// Has room for one message.
#[derive(Clone, Default)]
struct Small(Arc<Mutex<Vec<(u64, Bytes)>>>);

impl Store for Small {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Ok(0)
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        let mut kept = self.0.lock().unwrap();
        if kept.len() + batch.len() > 1 {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        kept.extend(batch.iter().cloned());
        Ok(())
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        let mut kept = self.0.lock().unwrap();
        kept.retain(|(number, _)| !numbers.contains(number));
        Ok(())
    }
}

/// Memory had no room for a message with a limit of time. While the peer was away its receipt did not resolve, and the
/// store kept it: the limit was looked at only when the message came into memory.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_only_in_the_store_ends_at_its_age() {
    let store = MemoryStore::default();
    let builder = away().capacity(1000, 1);
    let outbox = builder.durable_nonblocking(store.clone()).spawn().unwrap();
    let send = |message: &str, importance| outbox.send_with(message.to_string(), importance);
    drop(send("1 a", Importance::Important).await.unwrap());
    let within = Importance::important_for(AGE);
    let watched = send("2 b", within).await.unwrap();
    drop(send("3 c", within).await.unwrap());
    drop(send("4 d", Importance::Important).await.unwrap());
    assert_eq!(outbox.status().on_disk, 3);
    let error = timeout(AGE * 2, watched).await.unwrap().unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Expired);
    sleep(Duration::from_secs(1)).await;
    let status = outbox.status();
    assert_eq!((status.queued, status.on_disk, status.dropped), (2, 1, 2));
    assert_eq!(store.numbers(), [0, 3]);
}

/// The page with the message was read before it expired, and is taken in after that.
#[tokio::test(start_paused = true)]
async fn a_backlog_with_expired_messages_is_delivered() {
    let store = MemoryStore::default();
    let (builder, mut wire) = outbox();
    let builder = builder.capacity(1000, 2);
    let outbox = builder.durable_nonblocking(store.clone()).spawn().unwrap();
    for id in 0..20 {
        let importance = match id % 3 {
            0 => Importance::Important,
            _ => Importance::important_for(AGE),
        };
        let message = format!("{id} a");
        drop(outbox.send_with(message, importance).await.unwrap());
    }
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "0 a");
    sleep(AGE * 2).await;
    for id in [0, 1] {
        peer.send(format!("ok {id}")).await.unwrap();
    }
    for id in [3, 6, 9, 12, 15, 18] {
        loop {
            let line = line(&mut peer).await;
            if line != "1 a" {
                assert_eq!(line, format!("{id} a"));
                break;
            }
        }
        peer.send(format!("ok {id}")).await.unwrap();
    }
    assert!(outbox.shutdown(LONG).await.is_complete());
    assert_eq!(store.numbers(), [0_u64; 0]);
}

/// It was stored as soon as there was room, when its receipt had reported that its time was over. It stayed in the store, and
/// the next outbox delivered it.
#[tokio::test(start_paused = true)]
async fn a_message_that_expires_while_it_waits_for_room_is_not_stored() {
    let store = Small::default();
    let (builder, mut wire) = outbox();
    let outbox = builder.durable_nonblocking(store.clone()).spawn().unwrap();
    let first = outbox.send("1 a".to_string()).await.unwrap();
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "1 a");
    let within = Importance::important_for(AGE);
    let second = outbox.send_with("2 b".to_string(), within);
    let third = outbox.send("3 c".to_string());
    let (second, third, ()) = tokio::join!(
        async { timeout(AGE * 2, second).await.unwrap().unwrap().await },
        async { third.await.unwrap().await },
        async {
            sleep(AGE * 3).await;
            peer.send("ok 1").await.unwrap();
            assert_eq!(line(&mut peer).await, "3 c");
            peer.send("ok 3").await.unwrap();
        }
    );
    first.await.unwrap();
    let error = second.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Expired);
    third.unwrap();
    assert!(outbox.shutdown(LONG).await.is_complete());
    assert_eq!(store.0.lock().unwrap().len(), 0);
}

/// Its time began when there was room for it: a value of a minute ago was sent as one of now.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_message_runs_while_it_waits_for_room() {
    for importance in [
        Importance::BestEffort { ttl: AGE },
        Importance::important_for(AGE),
    ] {
        let (builder, mut wire) = outbox();
        let outbox = builder.capacity(1000, 1).spawn().unwrap();
        drop(outbox.send("1 a".to_string()).await.unwrap());
        let mut peer = wire.accept().await;
        assert_eq!(line(&mut peer).await, "1 a");
        let (waited, ()) = tokio::join!(outbox.send_with("2 b".to_string(), importance), async {
            sleep(LONG).await;
            peer.send("ok 1").await.unwrap();
        });
        let error = waited.unwrap().await.unwrap_err();
        assert_eq!(*error.reason(), UndeliveredReason::Expired);
        let next = timeout(LONG, line(&mut peer)).await;
        assert!(next.is_err(), "{next:?}");
    }
}

/// `send` waited for room as long as it took: the time of the message ended it only when there was room.
#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_memory_ends_at_its_time() {
    for importance in [
        Importance::BestEffort { ttl: AGE },
        Importance::important_for(AGE),
    ] {
        let outbox = away().capacity(1000, 1).spawn().unwrap();
        drop(outbox.send("1 a".to_string()).await.unwrap());
        let began = Instant::now();
        // A later one, with more time, stays.
        let patient = Importance::important_for(LONG);
        let mut later = task::spawn(outbox.send_with("3 c".to_string(), patient));
        assert!(later.poll().is_pending());
        let sent = timeout(LONG / 2, outbox.send_with("2 b".to_string(), importance)).await;
        let receipt = sent.unwrap().unwrap();
        assert!(began.elapsed() < AGE + Duration::from_millis(20));
        let error = receipt.await.unwrap_err();
        assert_eq!(*error.reason(), UndeliveredReason::Expired);
        assert_eq!(error.into_message(), "2 b");
        assert!(later.poll().is_pending());
        let status = outbox.status();
        assert_eq!((status.queued, status.dropped), (1, 1));
    }
}

/// As many messages as the outbox lets wait for a full store are on their way there, and this one waits behind them.
#[tokio::test(start_paused = true)]
async fn a_message_that_waits_behind_a_full_store_ends_at_its_time() {
    let builder = away().durable_nonblocking(Small::default());
    let outbox = builder.capacity(1 << 20, 1).spawn().unwrap();
    drop(outbox.send("0 a".to_string()).await.unwrap());
    let mut sends = Vec::new();
    for id in 1..1500 {
        let within = Importance::important_for(AGE * 2);
        let outbox = outbox.clone();
        let message = format!("{id} a");
        sends.push(tokio::spawn(async move {
            let receipt = outbox.send_with(message, within).await.unwrap();
            receipt.await.unwrap_err()
        }));
    }
    let began = Instant::now();
    sleep(Duration::from_millis(1)).await;
    let within = Importance::important_for(AGE);
    let sent = timeout(LONG, outbox.send_with("1500 a".to_string(), within)).await;
    assert!(began.elapsed() < AGE + Duration::from_millis(20));
    let error = sent.unwrap().unwrap().await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Expired);
    for send in sends {
        let error = send.await.unwrap();
        assert_eq!(*error.reason(), UndeliveredReason::Expired);
    }
    assert!(began.elapsed() < AGE * 2 + Duration::from_millis(20));
    assert_eq!(outbox.status().dropped, 1500);
}

/// The time of a message that memory had no room for ran out only when the store had written it.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_in_memory_waits_for_a_full_store_until_its_time() {
    let store = Small::default();
    let (builder, mut wire) = outbox();
    let builder = builder.capacity(1000, 1);
    let outbox = builder.durable_nonblocking(store.clone()).spawn().unwrap();
    let first = outbox.send("1 a".to_string()).await.unwrap();
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "1 a");
    let began = Instant::now();
    let within = Importance::important_for(AGE);
    let sent = timeout(LONG, outbox.send_with("2 b".to_string(), within)).await;
    assert!(began.elapsed() < AGE + Duration::from_millis(20));
    let error = sent.unwrap().unwrap().await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Expired);
    let status = outbox.status();
    assert_eq!((status.queued, status.on_disk, status.dropped), (1, 0, 1));
    peer.send("ok 1").await.unwrap();
    first.await.unwrap();
    let third = outbox.send("3 c".to_string()).await.unwrap();
    assert_eq!(line(&mut peer).await, "3 c");
    peer.send("ok 3").await.unwrap();
    third.await.unwrap();
    assert!(outbox.shutdown(LONG).await.is_complete());
    assert_eq!(store.0.lock().unwrap().len(), 0);
}

/// Without a receipt they were not counted.
#[tokio::test(start_paused = true)]
async fn dropped_messages_count_with_and_without_a_receipt() {
    for by_sink in [false, true] {
        let builder = away().overflow(Overflow::DropNewest);
        let builder = builder.durable_nonblocking(Small::default());
        let outbox = builder.spawn().unwrap();
        let mut sink = outbox.sink();
        for id in 0..3 {
            let message = format!("{id} a");
            match by_sink {
                true => sink.send(message).await.unwrap(),
                false => drop(outbox.send(message).await.unwrap()),
            }
        }
        let status = outbox.status();
        assert_eq!((status.queued, status.dropped), (1, 2), "{by_sink}");
    }
}

/// Has room for two messages, and removes none while the flag is set.
#[derive(Clone, Default)]
struct Stuck(MemoryStore, Arc<AtomicBool>);

impl Store for Stuck {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        self.0.recover()
    }

    fn next_number(&mut self) -> io::Result<u64> {
        self.0.next_number()
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        if self.0.numbers().len() + batch.len() > 2 {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.0.append(batch)
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        if self.1.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.0.remove(numbers)
    }
}

/// Its receipt said that it was dropped, but the store did not remove it, and nobody tried again: the next outbox delivered it.
#[tokio::test(start_paused = true)]
async fn a_message_that_was_dropped_leaves_the_store_when_it_can() {
    let store = Stuck::default();
    let (builder, mut wire) = outbox();
    let builder = builder.capacity(1000, 1).overflow(Overflow::DropOldest);
    let outbox = builder.durable_nonblocking(store.clone()).spawn().unwrap();
    drop(outbox.send("1 a".to_string()).await.unwrap());
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "1 a");
    let dropped = outbox.send("2 b".to_string()).await.unwrap();
    store.1.store(true, Ordering::Relaxed);
    drop(outbox.send("3 c".to_string()).await.unwrap());
    let error = dropped.await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Overflowed);
    store.1.store(false, Ordering::Relaxed);
    sleep(LONG).await;
    assert_eq!(store.0.numbers(), [0]);
    assert_eq!(outbox.status().queued, 1);
}

/// Its clone panics.
#[derive(Debug)]
struct Fragile(u64, bool);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(!self.1, "the clone of the test");
        Self(self.0, false)
    }
}

impl Message for Fragile {
    fn size(&self) -> usize {
        8
    }
}

impl Record for Fragile {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_be_bytes())
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(u64::from_be_bytes(bytes[..].try_into()?), false))
    }
}

struct Lines;

impl Encoder<Fragile> for Lines {
    type Error = io::Error;

    fn encode(&mut self, message: Fragile, bytes: &mut BytesMut) -> io::Result<()> {
        bytes.extend_from_slice(format!("{} a\n", message.0).as_bytes());
        Ok(())
    }
}

/// Memory was full, so the message went to the store alone, with a copy for its receipt. The copy panicked, in the program's
/// task, when the message was counted already: a shutdown waited for it.
#[tokio::test(start_paused = true)]
async fn a_clone_that_panics_in_a_send_leaves_nothing_behind() {
    let (connect, mut wire) = wire();
    let meaning = |reply: String| crate::wire::meaning(&reply);
    let outbox = Outbox::builder(connect, || Lines)
        .confirm(Confirm::by_peer(
            |message: &Fragile| message.0,
            LinesCodec::new,
            meaning,
        ))
        .capacity(1000, 1)
        .durable_nonblocking(MemoryStore::default())
        .spawn()
        .unwrap();
    drop(outbox.send(Fragile(1, false)).await.unwrap());
    let sender = outbox.clone();
    let sending = async move { sender.send(Fragile(2, true)).await.map(drop) };
    assert!(tokio::spawn(sending).await.unwrap_err().is_panic());
    drop(outbox.send(Fragile(3, false)).await.unwrap());
    assert_eq!(outbox.status().queued, 2);
    let peer = tokio::spawn(confirm_all(wire.accept().await));
    assert!(outbox.shutdown(LONG).await.is_complete());
    assert_eq!(peer.await.unwrap(), ["1 a", "3 a"]);
}
