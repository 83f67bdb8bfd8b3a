//! How an outbox ends: after it was resumed, without a runtime of the caller's, and with its task.

use crate::memory_store::MemoryStore;
use crate::support::within;
use crate::wire::{Wire, by_reply, confirm_all, line, outbox, wire};
use bytes::Bytes;
use futures::SinkExt;
use hangup::outbox::*;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::codec::LinesCodec;

const LONG: Duration = Duration::from_secs(60);

/// `shutdown` took the state of an outbox that had given up for its end: it reported messages as undelivered that were
/// delivered afterwards.
#[tokio::test(start_paused = true)]
async fn a_resumed_outbox_delivers_before_it_ends() {
    let mut wrong = true;
    let (mut connect, mut wire) = wire();
    let connect = move || {
        let connected = (!std::mem::take(&mut wrong)).then(&mut connect);
        async move {
            match connected {
                Some(connected) => connected.await,
                None => Err(io::ErrorKind::InvalidInput.into()),
            }
        }
    };
    let outbox = Outbox::builder(connect, LinesCodec::new)
        .confirm(by_reply())
        .spawn()
        .unwrap();
    drop(outbox.send("1 a".to_string()).await.unwrap());
    let mut states = outbox.subscribe();
    let gave_up = |status: &OutboxStatus| matches!(status.link, Link::GaveUp(_));
    drop(within(states.wait_for(gave_up)).await.unwrap());

    assert!(outbox.resume());
    assert!(matches!(outbox.status().link, Link::Connecting { .. }));
    let peer = tokio::spawn(async move { confirm_all(wire.accept().await).await });
    let report = outbox.shutdown(LONG).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(peer.await.unwrap(), ["1 a"]);
}

/// `shutdown` panicked there: "there is no reactor running".
#[test]
fn a_thread_without_a_runtime_may_use_and_end_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    for has_peer in [true, false] {
        let (outbox, mut wire): (_, Wire) = runtime.block_on(async {
            let (builder, wire) = outbox();
            let store = MemoryStore::default();
            (builder.durable(store).spawn().unwrap(), wire)
        });
        futures::executor::block_on(async {
            let receipt = outbox.send("1 a".to_string()).await.unwrap();
            if has_peer {
                runtime.spawn(async move { confirm_all(wire.accept().await).await });
                receipt.await.unwrap();
            }
            let report = outbox.shutdown(Duration::from_millis(10)).await;
            assert_eq!(report.is_complete(), has_peer);
            assert!(report.is_store_closed());
        });
    }
}

/// An outbox whose peer is away.
fn away() -> Builder<String> {
    let away = || async { Err::<TcpStream, _>(io::ErrorKind::NetworkUnreachable.into()) };
    Outbox::builder(away, LinesCodec::new).confirm(by_reply())
}

/// The same, with a store that does not block.
fn away_with_store() -> Outbox<String> {
    let builder = away().durable_nonblocking(MemoryStore::default());
    builder.spawn().unwrap()
}

/// The last message of an outbox that was shutting down expired, and with that the outbox ended. It ended before it had
/// woken the receipt, which then never resolved.
#[tokio::test(start_paused = true)]
async fn the_receipt_resolves_of_a_message_that_expires_last() {
    let outbox = away_with_store();
    let importance = Importance::important_for(Duration::from_secs(5));
    let sent = outbox.send_with("1 a".to_string(), importance).await;
    let mut receipt = tokio_test::task::spawn(sent.unwrap());
    tokio_test::assert_pending!(receipt.poll());
    assert!(outbox.shutdown(LONG).await.is_complete());
    assert!(receipt.is_woken());
    let expired = tokio_test::assert_ready_err!(receipt.poll());
    assert_eq!(*expired.reason(), UndeliveredReason::Expired);
}

/// A shutdown that took all of its time left none for the store: it reported each store as open, and a `DiskStore` was still
/// locked when the program opened it again.
#[tokio::test(start_paused = true)]
async fn a_shutdown_that_runs_out_of_time_closes_the_store() {
    for seconds in 0..4 {
        let outbox = away_with_store();
        drop(outbox.send("1 a".to_string()).await.unwrap());
        let report = outbox.shutdown(Duration::from_secs(seconds)).await;
        assert_eq!(report.undelivered(), ["1 a"]);
        assert!(report.is_store_closed(), "{seconds}");
    }
}

/// A shutdown went on to the end of its time after its last message had expired. With the feature `metrics` the timer of the
/// status hid this.
#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_when_its_last_message_expires() {
    let outbox = away().spawn().unwrap();
    let ttl = Duration::from_secs(5);
    let sent = outbox.send_with("1 a".to_string(), Importance::BestEffort { ttl });
    drop(sent.await.unwrap());
    let began = Instant::now();
    outbox.shutdown(LONG).await;
    assert!(began.elapsed() < 2 * ttl, "{:?}", began.elapsed());
}

/// A message in memory that expired made room for those in the store, and nobody looked. With the feature `metrics` the timer of the
/// status hid this.
#[tokio::test(start_paused = true)]
async fn the_backlog_follows_a_message_that_expires() {
    let (builder, mut wire) = outbox();
    let outbox = builder
        .durable_nonblocking(MemoryStore::default())
        .capacity(1000, 1)
        .spawn()
        .unwrap();
    let mut peer = wire.accept().await;
    let ttl = Duration::from_secs(5);
    let sent = outbox.send_with("1 a".to_string(), Importance::BestEffort { ttl });
    drop(sent.await.unwrap());
    assert_eq!(line(&mut peer).await, "1 a");
    // It is never confirmed.
    let stored = outbox.send("2 b".to_string()).await.unwrap();
    assert_eq!(outbox.status().on_disk, 1);
    assert_eq!(within(line(&mut peer)).await, "2 b");
    peer.send("ok 2".to_string()).await.unwrap();
    within(stored).await.unwrap();
}

type Sending = Pin<Box<dyn Future<Output = Result<Receipt<String>, OutboxError<String>>> + Send>>;

type Call = Box<dyn FnOnce() + Send>;

/// A store that calls the test while it is being closed.
struct Closing(Arc<Mutex<Option<Call>>>);

impl Store for Closing {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        Ok(Vec::new())
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Ok(0)
    }

    fn append(&mut self, _: &[(u64, Bytes)]) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, _: &[u64]) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let call = self.0.lock().unwrap().take();
        if let Some(call) = call {
            call();
        }
    }
}

/// The task was dropped, and its store was closing: a message of this moment counted as accepted, and nobody had stored it.
#[tokio::test]
async fn a_store_that_is_closing_is_given_no_message() {
    let call = Arc::new(Mutex::new(None));
    let (builder, _wire) = outbox();
    let (outbox, task) = builder
        .durable_nonblocking(Closing(call.clone()))
        .build()
        .unwrap();
    let mut task = Box::pin(task);
    assert!(futures::poll!(&mut task).is_pending());
    let (sender, sent) = mpsc::channel();
    let late: Call = Box::new(move || {
        let mut sending: Sending = Box::pin(async move { outbox.send("1 a".to_string()).await });
        let polled = sending
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        sender.send((polled, sending)).unwrap();
    });
    *call.lock().unwrap() = Some(late);
    drop(task);
    let (polled, sending) = sent.recv().unwrap();
    let sent = match polled {
        Poll::Ready(sent) => sent,
        Poll::Pending => within(sending).await,
    };
    let error = sent.unwrap_err();
    assert_eq!(*error.reason(), RefusedReason::TaskGone);
    assert_eq!(error.message(), "1 a");
}
