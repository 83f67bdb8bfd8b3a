//! (1) and (2), polled by hand on streams without a socket: who is woken, when, and how often.

use crate::support::soon;
use futures::FutureExt;
use futures_test::task::new_count_waker;
use hangup::{CloseReason, HalfClose, MonitorConfig, MonitoredStream, Status};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio_test::{assert_pending, assert_ready, assert_ready_eq, assert_ready_err, task};

fn unwatched() -> (MonitoredStream<DuplexStream>, DuplexStream) {
    let (ours, peer) = duplex(16);
    (MonitoredStream::unwatched(ours), peer)
}

#[test]
fn the_first_reason_wins() {
    // (1): a write finds the peer gone; then the stream is read to its end, shut down and dropped.
    let (mut stream, peer) = unwatched();
    let monitor = stream.monitor();
    let (mut watch, token) = (monitor.subscribe(), monitor.cancellation_token());
    let closed = monitor.closed();
    drop(peer);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let error = stream.write(b"x").await.unwrap_err();
        assert_eq!(CloseReason::from(&error), CloseReason::PeerClosed);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        stream.shutdown().await.unwrap();
        drop(stream);
        assert_eq!(
            crate::support::reason(&monitor).await,
            CloseReason::PeerClosed
        );
        assert_eq!(closed.await, CloseReason::PeerClosed);
        drop(monitor);
        let last = soon("the channel", watch.wait_for(Status::is_closed)).await;
        assert_eq!(last.unwrap().reason(), Some(&CloseReason::PeerClosed));
        let more = soon("the end of the channel", watch.changed()).await;
        more.expect_err("nobody can send any more");
    });
    assert!(token.is_cancelled());
}

#[test]
fn every_waiter_is_woken_once() {
    let (stream, _peer) = unwatched();
    let mut waiters: Vec<_> = (0..100)
        .map(|_| (new_count_waker(), stream.closed()))
        .collect();
    for ((waker, _), closed) in &mut waiters {
        let cx = &mut Context::from_waker(waker);
        // Polled again, as a `select!` in a loop does: still one place, and one wake-up.
        assert_pending!(closed.poll_unpin(cx));
        assert_pending!(closed.poll_unpin(cx));
    }
    let clone = waiters[0].1.clone();
    drop(stream);
    for ((waker, wakes), closed) in &mut waiters {
        let cx = &mut Context::from_waker(waker);
        assert_eq!(*wakes, 1);
        assert_ready_eq!(closed.poll_unpin(cx), CloseReason::Dropped);
        assert_ready_eq!(closed.poll_unpin(cx), CloseReason::Dropped);
        assert_eq!(*wakes, 1);
    }
    // Late observers resolve at once.
    let mut late = task::spawn(clone);
    assert_ready_eq!(late.poll(), CloseReason::Dropped);
    assert!(!late.is_woken());
}

#[test]
fn a_waiter_that_moves_is_woken_where_it_is() {
    let (stream, _peer) = unwatched();
    let ((first, first_wakes), (second, second_wakes)) = (new_count_waker(), new_count_waker());
    let mut closed = stream.closed();
    assert_pending!(closed.poll_unpin(&mut Context::from_waker(&first)));
    assert_pending!(closed.poll_unpin(&mut Context::from_waker(&second)));
    drop(stream);
    assert_eq!((first_wakes.get(), second_wakes.get()), (0, 1));
}

#[test]
fn a_waiter_that_is_dropped_is_forgotten() {
    let (stream, _peer) = unwatched();
    let mut waiter = task::spawn(());
    for _ in 0..1000 {
        assert_pending!(waiter.enter(|cx, _| stream.closed().poll_unpin(cx)));
    }
    assert_eq!(waiter.waker_ref_count(), 1, "a waker was left behind");
    drop(stream);
    assert!(!waiter.is_woken());
}

/// (2) Whoever is woken finds everything told already.
#[test]
fn the_flag_comes_before_the_wake_up() {
    struct Looks {
        monitor: hangup::Monitor,
        saw: AtomicBool,
    }
    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            // Inside of the wake-up, all of it: no lock is held, and nothing is still to come.
            let reason = Some(CloseReason::Dropped);
            assert!(self.monitor.is_closed());
            assert_eq!(self.monitor.close_reason(), reason);
            assert_eq!(self.monitor.subscribe().borrow().reason(), reason.as_ref());
            assert!(self.monitor.cancellation_token().is_cancelled());
            assert_ready!(task::spawn(self.monitor.closed()).poll());
            self.saw.store(true, SeqCst);
        }
    }
    let (stream, _peer) = unwatched();
    let looks = Arc::new(Looks {
        monitor: stream.monitor(),
        saw: AtomicBool::new(false),
    });
    let waker = Waker::from(looks.clone());
    let mut closed = stream.closed();
    assert_pending!(closed.poll_unpin(&mut Context::from_waker(&waker)));
    drop(stream);
    assert!(looks.saw.load(SeqCst));
}

/// A waker may own what it wakes: to drop it may drop a `Closed` of the same stream.
#[test]
fn a_waker_that_owns_its_future() {
    struct Task(std::sync::Mutex<Option<hangup::Closed>>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let (stream, _peer) = unwatched();
    let task = Arc::new(Task(std::sync::Mutex::new(None)));
    let mut closed = stream.closed();
    let waker = Waker::from(task.clone());
    assert_pending!(closed.poll_unpin(&mut Context::from_waker(&waker)));
    // The registered waker is the last owner of the task, which owns another future on the stream.
    *task.0.lock().unwrap() = Some(stream.closed());
    drop((task, waker));
    // To replace it drops the task; a lock that is held meanwhile would be locked again.
    let (waker, wakes) = new_count_waker();
    assert_pending!(closed.poll_unpin(&mut Context::from_waker(&waker)));
    drop(stream);
    assert_eq!(wakes, 1);
}

#[test]
fn a_blocked_writer_is_woken_and_refused() {
    // (6): the read half of the same stream finds the end; the write half is pending meanwhile.
    let (mut stream, peer) = unwatched();
    let (waker, wakes) = new_count_waker();
    let write = |stream: &mut MonitoredStream<DuplexStream>| {
        Pin::new(stream).poll_write(&mut Context::from_waker(&waker), &[b'x'; 16])
    };
    assert!(matches!(write(&mut stream), Poll::Ready(Ok(16))));
    assert_pending!(write(&mut stream));
    let (peer_reads, peer_writes) = tokio::io::split(peer);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut peer_writes = peer_writes;
        peer_writes.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    });
    assert_eq!(wakes, 1);
    let error = assert_ready_err!(write(&mut stream));
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::PeerClosed)
    );
    drop(peer_reads);
}

#[tokio::test]
async fn half_close_allowed_tells_the_watch_channel_each_step() {
    let (ours, mut peer) = duplex(16);
    let config = MonitorConfig::new().half_close(HalfClose::Allow);
    let mut stream = MonitoredStream::unwatched_with_config(ours, &config);
    let mut watch = stream.monitor().subscribe();
    peer.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    // The channel is told last, and by another thread.
    soon("the first step", watch.changed()).await.unwrap();
    assert_eq!(*watch.borrow_and_update(), Status::PeerFinished);
    assert_eq!(*stream.monitor().subscribe().borrow(), Status::PeerFinished);
    stream.write_all(b"answer").await.unwrap();
    stream.shutdown().await.unwrap();
    soon("the second step", watch.changed()).await.unwrap();
    assert_eq!(
        *watch.borrow_and_update(),
        Status::Closed(CloseReason::Finished)
    );
}

#[test]
fn to_cancel_a_token_is_its_owners_affair() {
    let (stream, _peer) = unwatched();
    let monitor = stream.monitor();
    let (cancelled, other) = (monitor.cancellation_token(), monitor.cancellation_token());
    cancelled.cancel();
    assert!(!other.is_cancelled());
    assert!(!monitor.is_closed());
}

#[tokio::test]
async fn run_until_closed_drops_what_it_ran() {
    let (stream, _peer) = unwatched();
    let monitor = stream.monitor();
    let producer = Arc::new(());
    let held = producer.clone();
    let run = monitor.run_until_closed(async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    let (ended, ()) = tokio::join!(run, async { drop(stream) });
    assert_eq!(ended, Err(CloseReason::Dropped));
    assert_eq!(Arc::strong_count(&producer), 1);
}

/// A wrapped stream that panics leaves the wrapper whole.
#[test]
fn a_panic_in_the_wrapped_stream() {
    struct Panics;
    impl AsyncWrite for Panics {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<std::io::Result<usize>> {
            panic!("as it was told to")
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    let mut stream = MonitoredStream::unwatched(Panics);
    let monitor = stream.monitor();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let cx = &mut Context::from_waker(Waker::noop());
        Pin::new(&mut stream).poll_write(cx, b"x")
    }));
    assert!(caught.is_err());
    drop(stream);
    assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
}
