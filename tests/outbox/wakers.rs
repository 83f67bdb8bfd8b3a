//! A waker that panics, such as one of an executor that is gone, harms nobody else; nor does one that owns a task.

use crate::memory_store::MemoryStore;
use crate::support::within;
use crate::wire::{confirm_all, outbox};
use bytes::Bytes;
use hangup::outbox::{Outbox, Store};
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

/// As the waker of a plain executor, which owns its task, and so what the task holds.
struct Owns(#[expect(dead_code, reason = "its drop counts")] Outbox<String>);

impl Wake for Owns {
    fn wake(self: Arc<Self>) {}
}

/// The outbox dropped a waker under its lock when another one took its place, or the call ended. If that was the last one of
/// a task with a handle of the outbox, the drop of the handle waited for the lock, which its own thread held.
#[test]
fn wakers_that_own_a_handle_are_dropped_without_the_lock() {
    let (done, finished) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let (builder, _wire) = outbox();
            let (outbox, task) = builder.capacity(1000, 1).build().unwrap();
            let mut task = Box::pin(task);
            let poll = |future: Pin<&mut dyn Future<Output = ()>>| {
                let waker = Waker::from(Arc::new(Owns(outbox.clone())));
                assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
            };
            let receipt = outbox.send("1 a".to_string()).await.unwrap();
            let mut receipt = Box::pin(async { drop(receipt.await) });
            let mut send = Box::pin(async { drop(outbox.send("2 b".to_string()).await) });
            for _ in 0..3 {
                poll(task.as_mut());
                poll(receipt.as_mut());
                poll(send.as_mut());
            }
            drop(send);
            drop(receipt);
            let mut shutdown = Box::pin(async { drop(outbox.shutdown(Duration::ZERO).await) });
            poll(shutdown.as_mut());
            within(async { tokio::join!(task, shutdown) }).await;
        });
        done.send(()).unwrap();
    });
    finished
        .recv_timeout(Duration::from_secs(30))
        .expect("nothing waits for itself");
    thread.join().unwrap();
}

/// A task may be polled by one task of the runtime, and later by another, such as in a `select!` that is moved: the last one
/// is woken.
#[tokio::test]
async fn whoever_has_polled_the_task_last_is_woken() {
    let (builder, _wire) = outbox();
    let (outbox, task) = builder.build().unwrap();
    let mut task = Box::pin(task);
    for round in 0..3 {
        let (waker, count) = futures_test::task::new_count_waker();
        for waker in [Waker::noop(), &waker] {
            let polled = task.as_mut().poll(&mut Context::from_waker(waker));
            assert!(polled.is_pending());
        }
        let before = count.get();
        outbox.reconnect_now();
        assert!(count.get() > before, "in round {round}");
    }
}
