//! Senders that wait for room, and the one among them that is not polled.

use crate::memory_store::MemoryStore;
use crate::wire::{confirm_all, outbox};
use bytes::Bytes;
use hangup::outbox::{Outbox, Receipt, Store};
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::coop;
use tokio::time::{Instant, timeout};
use tokio_test::{assert_pending, task};
use tokio_util::codec::LinesCodec;

/// A `send` that is pinned and not polled held the turn of all others for ever.
#[tokio::test(start_paused = true)]
async fn a_sender_that_is_not_polled_stops_nobody() {
    let (builder, mut wire) = outbox();
    let outbox = builder.capacity(1000, 1).spawn().unwrap();
    drop(outbox.send("0 full".to_string()).await.unwrap());
    let mut idle = task::spawn(outbox.send("1 idle".to_string()));
    assert_pending!(idle.poll());
    let others = (2..5).map(|id| {
        let outbox = outbox.clone();
        tokio::spawn(async move { outbox.send(format!("{id} other")).await.map(drop) })
    });
    let others: Vec<_> = others.collect();
    tokio::task::yield_now().await;
    let peer = tokio::spawn(confirm_all(wire.accept().await));
    for other in others {
        timeout(Duration::from_secs(1), other)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
    // It comes late, and is taken.
    assert!(idle.is_woken());
    drop(
        timeout(Duration::from_secs(1), idle)
            .await
            .unwrap()
            .unwrap(),
    );
    assert!(outbox.shutdown(Duration::from_secs(10)).await.is_complete());
    assert_eq!(
        peer.await.unwrap(),
        ["0 full", "2 other", "3 other", "4 other", "1 idle"]
    );
}

/// Only one send in eight asked for tokio's budget, and yielded if it was used up. Those behind it were accepted first.
#[tokio::test(start_paused = true)]
async fn sends_that_are_polled_together_keep_their_order_without_budget() {
    let (builder, _wire) = outbox();
    let outbox = builder.spawn().unwrap();
    for first in 0..8 {
        while coop::has_budget_remaining() {
            coop::consume_budget().await;
        }
        let sends = (first..first + 9).map(|id| outbox.send(format!("{id} a")));
        let receipts = futures::future::try_join_all(sends).await.unwrap();
        let numbers: Vec<_> = receipts.iter().map(Receipt::number).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

/// A `select!` that lost, or a `timeout` that ran out, gives its place up at once.
#[tokio::test(start_paused = true)]
async fn a_sender_that_is_dropped_gives_its_place_up() {
    let (builder, mut wire) = outbox();
    let outbox = builder.capacity(1000, 2).spawn().unwrap();
    for id in 0..2 {
        drop(outbox.send(format!("{id} full")).await.unwrap());
    }
    let short = timeout(
        Duration::from_millis(1),
        outbox.send("2 dropped".to_string()),
    );
    assert!(short.await.is_err());
    let mut granted = task::spawn(outbox.send("3 granted".to_string()));
    assert_pending!(granted.poll());
    let waiting = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.send("4 waiting".to_string()).await.map(drop) }
    });
    tokio::task::yield_now().await;
    let peer = tokio::spawn(confirm_all(wire.accept().await));
    while !granted.is_woken() {
        tokio::task::yield_now().await;
    }
    drop(granted);
    timeout(Duration::from_secs(1), waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(outbox.shutdown(Duration::from_secs(10)).await.is_complete());
    assert_eq!(peer.await.unwrap(), ["0 full", "1 full", "4 waiting"]);
}

/// A sender that was granted room and is dropped gives it to the next one at once, and not only when more is confirmed.
#[tokio::test(start_paused = true)]
async fn a_grant_that_is_dropped_goes_to_the_next_sender() {
    let (builder, mut wire) = outbox();
    let outbox = builder.capacity(1000, 1).spawn().unwrap();
    drop(outbox.send("0 full".to_string()).await.unwrap());
    let mut granted = task::spawn(outbox.send("1 granted".to_string()));
    let mut next = task::spawn(outbox.send("2 next".to_string()));
    assert_pending!(granted.poll());
    assert_pending!(next.poll());
    let peer = tokio::spawn(confirm_all(wire.accept().await));
    while !granted.is_woken() {
        tokio::task::yield_now().await;
    }
    assert!(!next.is_woken());
    drop(granted);
    assert!(next.is_woken());
    drop(next.await.unwrap());
    assert!(outbox.shutdown(Duration::from_secs(10)).await.is_complete());
    assert_eq!(peer.await.unwrap(), ["0 full", "2 next"]);
}

/// A store that calls the test while it writes.
struct Writing(MemoryStore, Arc<Mutex<Option<Call>>>);

type Call = Box<dyn FnOnce() + Send>;

impl Store for Writing {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        self.0.recover()
    }

    fn next_number(&mut self) -> io::Result<u64> {
        self.0.next_number()
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        let call = self.1.lock().unwrap().take();
        if let Some(call) = call {
            call();
        }
        self.0.append(batch)
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        self.0.remove(numbers)
    }
}

/// A message that came while the outbox's task wrote to its store was left behind until something else woke the task: the
/// sender waited for a timer, or forever.
#[tokio::test(start_paused = true)]
async fn a_message_that_comes_while_the_store_writes_is_written_next() {
    let call = Arc::new(Mutex::new(None));
    let store = Writing(MemoryStore::default(), call.clone());
    // Without a connection nothing else wakes the task.
    let connect = std::future::pending::<io::Result<TcpStream>>;
    let outbox = Outbox::builder(connect, LinesCodec::new)
        .durable_nonblocking(store)
        .spawn()
        .unwrap();
    // The first status is published at once, which is another turn of the task.
    drop(outbox.send("0 z".to_string()).await.unwrap());
    let (sender, sent) = mpsc::channel();
    let other = outbox.clone();
    let second: Call = Box::new(move || {
        let mut sending = Box::pin(async move { other.send("2 b".to_string()).await.map(drop) });
        let mut context = Context::from_waker(Waker::noop());
        assert!(sending.as_mut().poll(&mut context).is_pending());
        sender.send(sending).unwrap();
    });
    *call.lock().unwrap() = Some(second);
    let began = Instant::now();
    drop(outbox.send("1 a".to_string()).await.unwrap());
    sent.recv().unwrap().await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}
