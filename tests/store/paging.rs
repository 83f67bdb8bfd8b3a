//! An outbox with more in its store than memory may have: order, receipts, restarts, and a store that is full.
#![cfg(feature = "durable")]

use super::behind_outbox::{accept, next, number, numbered, to};
use super::directory::Directory;
use crate::support::{listener, within};
use bytes::BytesMut;
use futures::SinkExt;
use hangup::MonitoredStream;
use hangup::outbox::*;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::codec::{Encoder, LengthDelimitedCodec};

/// A message of eight bytes takes 68 in the store: there is room for ten.
const TEN: u64 = 680;

fn open(path: &Path, disk_capacity: u64) -> DiskStore {
    let options = StoreOptions::new().fsync(Fsync::Never);
    options.disk_capacity(disk_capacity).open(path).unwrap()
}

/// An outbox whose peer is out of reach.
fn away() -> Builder<bytes::Bytes> {
    let away = || async { Err::<TcpStream, _>(io::ErrorKind::ConnectionRefused.into()) };
    Outbox::builder(away, LengthDelimitedCodec::new)
        .confirm(Confirm::by_peer(
            |message: &bytes::Bytes| number(message),
            LengthDelimitedCodec::new,
            |reply: BytesMut| Some(Processed::One(number(reply))),
        ))
        .backoff([Duration::from_secs(3600); 10])
}

fn in_memory(status: &OutboxStatus) -> u64 {
    status.queued as u64 - status.on_disk
}

/// A backlog beyond the capacity made `send` wait for ever, and a store with more than the capacity was read as a
/// whole.
#[tokio::test]
async fn more_than_memory_may_have_is_kept_and_delivered_in_order() {
    const COUNT: u64 = 1000;
    let directory = Directory::new("paging");
    let path = directory.file();
    let first = away()
        .capacity(1 << 20, 10)
        .durable(open(&path, u64::MAX))
        .spawn()
        .unwrap();
    let mut receipts = Vec::new();
    for number in 0..COUNT {
        let receipt = within(first.send(numbered(number))).await.unwrap();
        if number % 100 == 5 {
            receipts.push((number, receipt));
        }
    }
    let status = first.status();
    assert_eq!((status.queued, status.on_disk), (1000, 990));
    let report = within(first.shutdown(Duration::ZERO)).await;
    assert_eq!((report.undelivered().len(), report.on_disk()), (10, 990));
    assert!(!report.is_complete());
    for (number, receipt) in receipts {
        let error = within(receipt).await.unwrap_err();
        assert_eq!(*error.reason(), UndeliveredReason::ShutDown);
        assert_eq!(*error.message(), numbered(number));
    }
    drop(first);

    let (listener, address) = listener().await;
    let second = to(address)
        .capacity(1 << 20, 10)
        .durable(open(&path, u64::MAX))
        .spawn()
        .unwrap();
    let status = second.status();
    assert_eq!((status.queued, in_memory(&status)), (1000, 10));
    // What is sent now comes after what is on disk.
    let last = within(second.send(numbered(COUNT))).await.unwrap();
    let mut peer = accept(&listener).await;
    let mut expected = 0;
    while expected <= COUNT {
        let number = next(&mut peer).await;
        assert!(in_memory(&second.status()) <= 10);
        peer.send(numbered(number)).await.unwrap();
        // A reply may be lost with the link, and its message comes again.
        assert!(number <= expected);
        let is_new = number == expected;
        expected += u64::from(is_new);
        if is_new && number % 300 == 100 {
            drop(peer);
            peer = accept(&listener).await;
        }
    }
    assert_eq!(
        within(last).await.unwrap().confirmed_by(),
        ConfirmedBy::Reply
    );
    assert!(
        within(second.shutdown(Duration::from_secs(30)))
            .await
            .is_complete()
    );
    drop(second);
    assert_eq!(open(&path, u64::MAX).recover().unwrap(), []);
}

/// Fills memory (of five) and the store (of ten) of an outbox whose peer is away.
async fn full(
    directory: &Directory,
    overflow: Overflow,
) -> (Outbox<bytes::Bytes>, Vec<Receipt<bytes::Bytes>>) {
    let store = open(&directory.file(), TEN);
    let builder = away().capacity(1 << 20, 5).overflow(overflow);
    let outbox = builder.durable(store).spawn().unwrap();
    let mut receipts = Vec::new();
    for number in 0..10 {
        receipts.push(within(outbox.send(numbered(number))).await.unwrap());
    }
    (outbox, receipts)
}

async fn left(outbox: Outbox<bytes::Bytes>, directory: &Directory) -> Vec<u64> {
    within(outbox.shutdown(Duration::ZERO)).await;
    drop(outbox);
    let kept = open(&directory.file(), TEN).recover().unwrap();
    kept.into_iter().map(|(_, record)| number(record)).collect()
}

#[tokio::test]
async fn a_full_store_refuses() {
    let directory = Directory::new("paging-refuse");
    let (outbox, _receipts) = full(&directory, Overflow::Refuse).await;
    let error = within(outbox.send(numbered(10))).await.unwrap_err();
    assert_eq!(*error.reason(), RefusedReason::Full);
    assert_eq!(*error.message(), numbered(10));
    assert_eq!(left(outbox, &directory).await, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_store_drops_the_newest() {
    let directory = Directory::new("paging-newest");
    let (outbox, _receipts) = full(&directory, Overflow::DropNewest).await;
    let receipt = within(outbox.send(numbered(10))).await.unwrap();
    let error = within(receipt).await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Overflowed);
    assert_eq!(*error.message(), numbered(10));
    assert_eq!(outbox.status().dropped, 1);
    assert_eq!(left(outbox, &directory).await, (0..10).collect::<Vec<_>>());
}

/// Those of memory first, and then those of the store: it is the order in which they were sent.
#[tokio::test]
async fn a_full_store_drops_the_oldest() {
    let directory = Directory::new("paging-oldest");
    let (outbox, receipts) = full(&directory, Overflow::DropOldest).await;
    let mut new = Vec::new();
    for number in 10..18 {
        new.push(within(outbox.send(numbered(number))).await.unwrap());
    }
    for (number, receipt) in (0..8).zip(receipts) {
        let error = within(receipt).await.unwrap_err();
        assert_eq!(*error.reason(), UndeliveredReason::Overflowed);
        assert_eq!(*error.message(), numbered(number));
    }
    assert_eq!(outbox.status().dropped, 8);
    assert_eq!(left(outbox, &directory).await, (8..18).collect::<Vec<_>>());
}

/// A sender waits until a message was delivered.
#[tokio::test]
async fn a_full_store_makes_a_sender_wait() {
    let directory = Directory::new("paging-wait");
    let (first, receipts) = full(&directory, Overflow::Wait).await;
    let mut waits = Box::pin(first.send(numbered(10)));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut waits).await;
    assert!(early.is_err());
    // It was not accepted when the outbox ends.
    let (error, _) = tokio::join!(within(&mut waits), first.shutdown(Duration::ZERO));
    assert_eq!(*error.unwrap_err().reason(), RefusedReason::ShutDown);
    drop(waits);
    drop((first, receipts));

    let (listener, address) = listener().await;
    let store = open(&directory.file(), TEN);
    let second = to(address)
        .capacity(1 << 20, 5)
        .durable(store)
        .spawn()
        .unwrap();
    let mut peer = accept(&listener).await;
    let mut waits = Box::pin(second.send(numbered(10)));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut waits).await;
    assert!(early.is_err());
    assert_eq!(next(&mut peer).await, 0);
    peer.send(numbered(0)).await.unwrap();
    drop(within(waits).await.unwrap());
    for number in 1..=10 {
        assert_eq!(next(&mut peer).await, number);
        peer.send(numbered(number)).await.unwrap();
    }
    assert!(
        within(second.shutdown(Duration::from_secs(30)))
            .await
            .is_complete()
    );
}

fn assert_too_large(error: &OutboxError<bytes::Bytes>) {
    let RefusedReason::NotStored(why) = error.reason() else {
        panic!("{error}")
    };
    assert_eq!(why.kind(), io::ErrorKind::FileTooLarge);
    assert!(why.to_string().contains("`disk_capacity`"), "{why}");
}

/// A message that never fits is refused, and does not stop the others.
#[tokio::test]
async fn a_message_larger_than_the_store_is_refused() {
    let directory = Directory::new("paging-large");
    let store = open(&directory.file(), TEN);
    let outbox = away().durable(store).spawn().unwrap();
    let error = within(outbox.send(vec![0; 700].into())).await.unwrap_err();
    assert_too_large(&error);
    drop(within(outbox.send(numbered(1))).await.unwrap());
    assert_eq!(left(outbox, &directory).await, [1]);
}

/// `DropOldest` dropped the whole store for it, and then refused it. `Wait` waited until the store was empty, and `Refuse`
/// said that the outbox was full.
#[tokio::test]
async fn nothing_is_dropped_for_a_message_larger_than_the_store() {
    for overflow in [
        Overflow::DropOldest,
        Overflow::DropNewest,
        Overflow::Wait,
        Overflow::Refuse,
    ] {
        let directory = Directory::new("paging-larger");
        let (outbox, receipts) = full(&directory, overflow).await;
        let error = within(outbox.send(vec![0; 700].into())).await.unwrap_err();
        assert_too_large(&error);
        assert_eq!(outbox.status().dropped, 0);
        drop(receipts);
        assert_eq!(left(outbox, &directory).await, (0..10).collect::<Vec<_>>());
    }
}

/// Dead letters stay, whatever is delivered or dropped.
#[tokio::test]
async fn nothing_is_dropped_for_a_message_that_dead_letters_leave_no_room_for() {
    let directory = Directory::new("paging-letters");
    let mut store = open(&directory.file(), TEN);
    store.append(&[(0, vec![0; 400].into())]).unwrap();
    store.bury(0, "no such door").unwrap();
    let outbox = away()
        .overflow(Overflow::DropOldest)
        .durable(store)
        .spawn()
        .unwrap();
    for number in 1..=3 {
        drop(within(outbox.send(numbered(number))).await.unwrap());
    }
    let error = within(outbox.send(vec![0; 200].into())).await.unwrap_err();
    assert_too_large(&error);
    // One that fits in the place of another is taken.
    drop(within(outbox.send(numbered(4))).await.unwrap());
    assert_eq!(left(outbox, &directory).await, [2, 3, 4]);
}

/// Refuses every message.
struct Refuses;

impl Encoder<bytes::Bytes> for Refuses {
    type Error = io::Error;

    fn encode(&mut self, _: bytes::Bytes, _: &mut BytesMut) -> io::Result<()> {
        Err(io::Error::other("not in this protocol"))
    }
}

/// A sender waited for room in a store whose only message became a dead letter: no delivery was to come, and it waited
/// forever.
#[tokio::test]
async fn nobody_waits_for_the_room_of_a_dead_letter() {
    let directory = Directory::new("paging-buried");
    let gate = Arc::new(Notify::new());
    let gated = gate.clone();
    let (peer, _peers) = tokio::sync::mpsc::unbounded_channel();
    let connect = move || {
        let (gate, peer) = (gated.clone(), peer.clone());
        async move {
            gate.notified().await;
            let (near, far) = tokio::io::duplex(1024);
            peer.send(far).unwrap();
            Ok::<_, io::Error>(MonitoredStream::unwatched(near))
        }
    };
    let outbox = Outbox::builder(connect, || Refuses)
        .confirm(Confirm::by_number(LengthDelimitedCodec::new, |_| None))
        .durable(open(&directory.file(), 100))
        .spawn()
        .unwrap();
    let first = within(outbox.send(numbered(0))).await.unwrap();
    let mut waits = Box::pin(outbox.send(numbered(1)));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut waits).await;
    assert!(early.is_err());
    gate.notify_one();
    assert_too_large(&within(waits).await.unwrap_err());
    assert!(within(first).await.is_err());
}

/// Messages with a limit expire although they are only in the store.
#[tokio::test]
async fn a_limit_of_time_holds_on_disk() {
    let directory = Directory::new("paging-limit");
    let (listener, address) = listener().await;
    let store = open(&directory.file(), u64::MAX);
    let outbox = to(address)
        .capacity(1 << 20, 1)
        .durable(store)
        .spawn()
        .unwrap();
    let mut peer = accept(&listener).await;
    let first = within(outbox.send(numbered(0))).await.unwrap();
    let limit = Importance::important_for(Duration::from_millis(1));
    let second = within(outbox.send_with(numbered(1), limit)).await.unwrap();
    let third = within(outbox.send(numbered(2))).await.unwrap();
    assert_eq!(next(&mut peer).await, 0);
    tokio::time::sleep(Duration::from_millis(5)).await;
    peer.send(numbered(0)).await.unwrap();
    assert_eq!(next(&mut peer).await, 2);
    peer.send(numbered(2)).await.unwrap();
    within(first).await.unwrap();
    within(third).await.unwrap();
    let error = within(second).await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Expired);
}
