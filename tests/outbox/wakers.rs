//! A waker that panics, such as one of an executor that is gone, harms nobody else.

use crate::memory_store::MemoryStore;
use crate::support::within;
use crate::wire::{confirm_all, outbox};
use bytes::Bytes;
use hangup::outbox::Store;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("this waker panics on purpose");
    }
}

fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    let bad = Waker::from(Arc::new(Panics));
    matches!(future.poll(&mut Context::from_waker(&bad)), Poll::Pending)
}

/// A store in memory, each of whose batches waits for the test.
struct Gated(MemoryStore, mpsc::Receiver<()>);

impl Store for Gated {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        self.0.recover()
    }

    fn next_number(&mut self) -> io::Result<u64> {
        self.0.next_number()
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        self.1.recv().unwrap();
        self.0.append(batch)
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        self.0.remove(numbers)
    }
}

/// The waker of a sender ended the thread of the store: every later message counted as stored, and was not. The waker of a
/// receipt, or of a status, ended the outbox.
#[tokio::test]
async fn wakers_that_panic_are_passed_over() {
    let store = MemoryStore::default();
    let (builder, mut wire) = outbox();
    let (open, gate) = mpsc::channel();
    let gated = Gated(store.clone(), gate);
    let outbox = builder.durable(gated).spawn().unwrap();
    let mut states = outbox.subscribe();
    states.mark_unchanged();
    let mut changed = Box::pin(states.changed());
    assert!(is_pending(changed.as_mut()));
    let mut bad = Box::pin(outbox.send("1 a".to_string()));
    assert!(is_pending(bad.as_mut()));
    for _ in 0..3 {
        open.send(()).unwrap();
    }
    let good = within(outbox.send("2 b".to_string())).await.unwrap();
    assert_eq!(store.numbers(), [0, 1]);
    // Its outcome was told before its waker panicked.
    let mut bad = Box::pin(within(bad).await.unwrap());
    assert!(is_pending(bad.as_mut()));
    let peer = tokio::spawn(async move { confirm_all(wire.accept().await).await });
    within(good).await.unwrap();
    within(bad).await.unwrap();
    within(within(outbox.send("3 c".to_string())).await.unwrap())
        .await
        .unwrap();
    let report = within(outbox.shutdown(Duration::from_secs(30))).await;
    assert!(report.is_complete() && report.is_store_closed());
    assert_eq!(peer.await.unwrap(), ["1 a", "2 b", "3 c"]);
    assert!(store.numbers().is_empty());
}
