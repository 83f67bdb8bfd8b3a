//! An outbox with a store: what it takes, what it keeps, what it forgets.
#![cfg(feature = "durable")]

use super::directory::Directory;
#[cfg(target_os = "linux")]
use super::small_disk::on_small_disk;
use crate::support::{listener, within};
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt, future};
use hangup::outbox::*;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

const LONG: Duration = Duration::from_secs(30);

pub(super) fn numbered(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

pub(super) fn number(message: impl AsRef<[u8]>) -> u64 {
    u64::from_be_bytes(message.as_ref()[..8].try_into().unwrap())
}

pub(super) fn to(address: SocketAddr) -> Builder<Bytes> {
    let millis = Duration::from_millis;
    Outbox::builder(
        move || TcpStream::connect(address),
        LengthDelimitedCodec::new,
    )
    .confirm(Confirm::by_peer(
        |message| number(message),
        LengthDelimitedCodec::new,
        |reply: BytesMut| Some(Processed::One(number(reply))),
    ))
    .backoff(Backoff::exponential(millis(1), millis(10)).unwrap())
}

pub(super) type Frames = Framed<TcpStream, LengthDelimitedCodec>;

pub(super) async fn accept(listener: &TcpListener) -> Frames {
    let (stream, _) = within(listener.accept()).await.unwrap();
    Framed::new(stream, LengthDelimitedCodec::new())
}

pub(super) async fn next(frames: &mut Frames) -> u64 {
    number(within(frames.next()).await.expect("a frame").unwrap())
}

/// A store in memory, that is told when to go on, and fails when it is told to.
#[derive(Clone, Default)]
struct Scripted(Arc<(Mutex<Script>, Condvar)>);

#[derive(Default)]
struct Script {
    /// Batches that may be appended.
    allowed: usize,
    /// The next one fails.
    fails: bool,
    appended: Vec<Vec<u64>>,
    held: BTreeMap<u64, Bytes>,
    closed: bool,
}

impl Scripted {
    fn allow(&self, batches: usize) {
        self.0.0.lock().unwrap().allowed += batches;
        self.0.1.notify_all();
    }

    fn script<T>(&self, look: impl FnOnce(&mut Script) -> T) -> T {
        look(&mut self.0.0.lock().unwrap())
    }

    /// Waits until the script is so.
    fn until(&self, so: impl Fn(&Script) -> bool) {
        let script = self.0.0.lock().unwrap();
        let waited = self
            .0
            .1
            .wait_timeout_while(script, LONG, |script| !so(script));
        assert!(!waited.unwrap().1.timed_out());
    }
}

struct Kept(Scripted);

impl Store for Kept {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        let held = self.0.script(|script| script.held.clone());
        Ok(held.into_iter().collect())
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Ok(100)
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        let (script, changed) = &*self.0.0;
        let script = script.lock().unwrap();
        let waited = changed.wait_timeout_while(script, LONG, |script| script.allowed == 0);
        let mut script = waited.unwrap().0;
        script.allowed -= 1;
        let numbers: Vec<u64> = batch.iter().map(|(number, _)| *number).collect();
        script.appended.push(numbers.clone());
        changed.notify_all();
        if std::mem::take(&mut script.fails) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no room"));
        }
        script.held.extend(batch.iter().cloned());
        Ok(())
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        let (script, changed) = &*self.0.0;
        let mut script = script.lock().unwrap();
        script.held.retain(|number, _| !numbers.contains(number));
        changed.notify_all();
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.script(|script| script.closed = true);
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Receipt<Bytes>, OutboxError<Bytes>>> + 'a>>;

fn sending(outbox: &Outbox<Bytes>, number: u64) -> Sending<'_> {
    Box::pin(outbox.send(numbered(number)))
}

#[tokio::test]
async fn waiting_sends_share_a_commit_and_nothing_is_written_before_it() {
    let store = Scripted::default();
    let (listener, address) = listener().await;
    let outbox = to(address).durable(Kept(store.clone())).spawn().unwrap();
    let mut peer = accept(&listener).await;

    let mut first = sending(&outbox, 0);
    assert!(futures::poll!(&mut first).is_pending());
    // While the first commit goes on, a hundred more come.
    store.allow(1);
    drop(within(first).await.unwrap());
    let mut blocked = sending(&outbox, 1);
    assert!(futures::poll!(&mut blocked).is_pending());
    let mut more: Vec<_> = (2..102).map(|number| sending(&outbox, number)).collect();
    for send in &mut more {
        assert!(futures::poll!(send).is_pending());
    }
    // The one that was kept is written, and no other.
    assert_eq!(next(&mut peer).await, 0);
    assert!(futures::poll!(peer.next()).is_pending());
    assert_eq!(outbox.status().queued, 102);
    // A best-effort message need not be kept, and keeps its place.
    let idle = Importance::BestEffort { ttl: LONG };
    drop(outbox.try_send_with(numbered(500), idle).unwrap());

    store.allow(2);
    drop(within(blocked).await.unwrap());
    for kept in within(future::join_all(more)).await {
        drop(kept.unwrap());
    }
    let appended = store.script(|script| script.appended.clone());
    assert_eq!(appended[0], [100]);
    assert!(appended.len() <= 3, "{appended:?}");
    assert_eq!(appended.concat(), (100..202).collect::<Vec<_>>());
    for want in (1..102).chain([500]) {
        assert_eq!(next(&mut peer).await, want);
    }
    // What is confirmed is forgotten.
    for named in (0..101).chain([500]) {
        peer.send(numbered(named)).await.unwrap();
    }
    tokio::task::spawn_blocking({
        let store = store.clone();
        move || store.until(|script| script.held.keys().eq(&[201]))
    })
    .await
    .unwrap();
    // What is not, is handed back and stays.
    let left = within(outbox.shutdown(Duration::ZERO)).await;
    assert_eq!(left.undelivered(), [numbered(101)]);
    store.script(|script| {
        assert!(script.held.keys().eq(&[201]));
        assert!(script.closed);
    });
}

#[tokio::test]
async fn what_the_store_refuses_comes_back_and_the_outbox_goes_on() {
    let store = Scripted::default();
    let (listener, address) = listener().await;
    let outbox = to(address)
        .capacity(1024, 2)
        .durable(Kept(store.clone()))
        .spawn()
        .unwrap();
    let mut peer = accept(&listener).await;
    store.script(|script| script.fails = true);
    let (mut first, mut second) = (sending(&outbox, 1), sending(&outbox, 2));
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut second).is_pending());
    // Memory has no room for a third one: it goes only to the store.
    let mut third = sending(&outbox, 3);
    assert!(futures::poll!(&mut third).is_pending());
    assert_eq!(outbox.status().on_disk, 1);
    store.allow(10);
    let error = within(first).await.unwrap_err();
    assert_eq!(*error.message(), numbered(1));
    let RefusedReason::NotStored(why) = error.reason() else {
        panic!("{error}")
    };
    assert_eq!(why.kind(), io::ErrorKind::StorageFull);
    assert_eq!(why.to_string(), "no room");
    // The others were in the same batch or in the next.
    let mut want = Vec::new();
    for (number, other) in [(2, second), (3, third)] {
        match within(other).await {
            Ok(_) => want.push(number),
            Err(error) => assert_eq!(*error.message(), numbered(number)),
        }
    }
    drop(within(outbox.send(numbered(4))).await.unwrap());
    want.push(4);
    for want in want {
        assert_eq!(next(&mut peer).await, want);
        // Memory has room for two that are not confirmed.
        peer.send(numbered(want)).await.unwrap();
    }
    assert_eq!(outbox.status().dropped, 0);
}

#[tokio::test]
async fn try_send_cannot_wait() {
    let (_listener, address) = listener().await;
    let store = Scripted::default();
    let outbox = to(address).durable(Kept(store.clone())).spawn().unwrap();
    let error = outbox.try_send(numbered(1)).unwrap_err();
    assert_eq!(*error.reason(), RefusedReason::MustAwait);
    assert_eq!(*error.message(), numbered(1));
    // The sink waits.
    let mut sink = outbox.sink();
    sink.feed(numbered(2)).await.unwrap();
    let mut flush = Box::pin(sink.flush());
    assert!(futures::poll!(&mut flush).is_pending());
    store.allow(1);
    within(flush).await.unwrap();
    assert!(store.script(|script| script.held.keys().eq(&[100])));
}

#[tokio::test]
async fn a_new_outbox_goes_on_where_the_old_one_ended() {
    let directory = Directory::new("goes-on");
    let path = directory.0.join("outbox");
    let open = || DiskStore::open(&path, Fsync::Each).unwrap();
    let (listener, address) = listener().await;
    let outbox = to(address).durable(open()).spawn().unwrap();
    let mut peer = accept(&listener).await;
    for number in 0..10 {
        drop(within(outbox.send(numbered(number))).await.unwrap());
        assert_eq!(next(&mut peer).await, number);
    }
    let idle = Importance::BestEffort { ttl: LONG };
    drop(outbox.send_with(numbered(77), idle).await.unwrap());
    assert_eq!(next(&mut peer).await, 77);
    for number in 0..7 {
        peer.send(numbered(number)).await.unwrap();
    }
    let mut status = outbox.subscribe();
    within(status.wait_for(|status| status.delivered == 7))
        .await
        .unwrap();
    let left = within(outbox.shutdown(Duration::ZERO)).await;
    // Nor is best effort, once it was written, handed back.
    assert_eq!(left.undelivered().len(), 3);
    drop((outbox, peer));

    // It is in the order of the sends, and before what is sent now; best effort is not kept.
    let outbox = to(address).durable(open()).spawn().unwrap();
    assert_eq!(outbox.status().queued, 3);
    drop(within(outbox.send(numbered(10))).await.unwrap());
    let mut peer = accept(&listener).await;
    for number in 7..11 {
        assert_eq!(next(&mut peer).await, number);
        peer.send(numbered(number)).await.unwrap();
    }
    let left = within(outbox.shutdown(LONG)).await;
    assert!(left.is_complete());
    let mut store = open();
    assert_eq!(store.recover().unwrap(), []);
    assert_eq!(store.next_number().unwrap(), 11);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_fails_the_send_and_no_more() {
    on_small_disk("full", |directory| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(full_disk(&directory.join("outbox")));
    });
}

#[cfg(target_os = "linux")]
fn large(number: u64) -> Bytes {
    let mut message = vec![number as u8; 20_000];
    message[..8].copy_from_slice(&number.to_be_bytes());
    message.into()
}

#[cfg(target_os = "linux")]
async fn full_disk(path: &std::path::Path) {
    let open = || DiskStore::open(path, Fsync::Each).unwrap();
    let (listener, address) = listener().await;
    let outbox = to(address).durable(open()).spawn().unwrap();
    let mut accepted = Vec::new();
    let mut number = 0;
    let error = loop {
        match within(outbox.send(large(number))).await {
            Ok(_) => accepted.push(number),
            Err(error) => break error,
        }
        number += 1;
    };
    assert!(!accepted.is_empty());
    assert_eq!(*error.message(), large(number));
    let RefusedReason::NotStored(why) = error.reason() else {
        panic!("{error}")
    };
    assert_eq!(why.kind(), io::ErrorKind::StorageFull, "{why}");
    assert!(why.to_string().contains(path.to_str().unwrap()), "{why}");
    // Again and again: neither a hang nor another error.
    for _ in 0..5 {
        let error = within(outbox.send(error.message().clone()))
            .await
            .unwrap_err();
        assert!(
            matches!(error.reason(), RefusedReason::NotStored(_)),
            "{error}"
        );
    }
    println!("{} messages of 20 000 bytes, then: {error}", accepted.len());

    // The process ends. All is there, on the full disk too; and what is delivered makes room.
    let left = within(outbox.shutdown(Duration::ZERO)).await;
    assert_eq!(left.undelivered().len(), accepted.len());
    drop(outbox);
    let outbox = to(address).durable(open()).spawn().unwrap();
    // The first connection is that of the outbox which is gone.
    drop(accept(&listener).await);
    let mut peer = accept(&listener).await;
    for &number in &accepted {
        assert_eq!(next(&mut peer).await, number);
        peer.send(numbered(number)).await.unwrap();
    }
    let mut after = number;
    while within(outbox.send(large(after))).await.is_err() {
        after += 1;
    }
    assert_eq!(next(&mut peer).await, after);
    peer.send(numbered(after)).await.unwrap();
    assert!(within(outbox.shutdown(LONG)).await.is_complete());
    drop(outbox);
    assert_eq!(open().recover().unwrap(), []);
}
