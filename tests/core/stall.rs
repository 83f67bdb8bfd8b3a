//! Peers that are there and do not drain what we send.
//!
//! The numbers in comments are those of the invariants in `docs/architecture.md`.

use crate::support::{reason, soon};
use futures_test::task::new_count_waker;
use hangup::{CloseReason, MonitorConfig, MonitoredStream, StallPolicy};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};

const WINDOW: Duration = Duration::from_secs(12);
/// What lies between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// At least 100 bytes in twelve seconds.
fn config() -> MonitorConfig {
    MonitorConfig::new().stall(StallPolicy::new(100, WINDOW))
}

/// A stream in memory whose peer has room for 64 bytes.
fn memory() -> (MonitoredStream<DuplexStream>, DuplexStream) {
    let (io, peer) = tokio::io::duplex(64);
    (MonitoredStream::unwatched_with_config(io, &config()), peer)
}

fn write<S>(stream: &mut MonitoredStream<S>, waker: &Waker, bytes: usize) -> Poll<io::Result<usize>>
where
    MonitoredStream<S>: AsyncWrite + Unpin,
{
    let bytes = vec![b'x'; bytes];
    Pin::new(stream).poll_write(&mut Context::from_waker(waker), &bytes)
}

async fn take(peer: &mut DuplexStream, bytes: usize) {
    peer.read_exact(&mut vec![0; bytes]).await.unwrap();
}

fn assert_stalled(polled: Poll<io::Result<usize>>) {
    let error = assert_ready_err!(polled);
    assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Stalled));
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing() {
    let (mut stream, _peer) = memory();
    let monitor = stream.monitor();
    let began = Instant::now();
    let error = stream.write_all(&[b'x'; 1000]).await.unwrap_err();
    assert_eq!(CloseReason::from(&error), CloseReason::Stalled);
    // Blocked from the start: no look is lost.
    assert_eq!(began.elapsed(), WINDOW);
    assert_eq!(reason(&monitor).await, CloseReason::Stalled);
    assert!(!CloseReason::Stalled.is_local());
    assert_eq!(monitor.transfer().accepted, 64);
}

/// A limit on each write would be outwitted: each byte that is taken ends one.
#[tokio::test(start_paused = true)]
async fn a_byte_a_second() {
    let (mut stream, mut peer) = memory();
    let began = Instant::now();
    let slow = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            take(&mut peer, 1).await;
        }
    });
    let error = stream.write_all(&[b'x'; 1000]).await.unwrap_err();
    assert_eq!(CloseReason::from(&error), CloseReason::Stalled);
    assert!(began.elapsed() <= WINDOW + LOOK, "{:?}", began.elapsed());
    slow.abort();
}

/// Twelve bytes a second are slow, and enough.
#[tokio::test(start_paused = true)]
async fn slow_and_healthy() {
    let (mut stream, mut peer) = memory();
    let began = Instant::now();
    let slow = tokio::spawn(async move {
        for _ in 0..1000 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            take(&mut peer, 12).await;
        }
    });
    stream.write_all(&[b'x'; 12_000]).await.unwrap();
    slow.await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(1000));
    assert!(!stream.is_closed());
}

/// It stops in the middle of a window in which it has drained enough: the next look's window counts.
#[tokio::test(start_paused = true)]
async fn one_that_stops_later() {
    for tenths in 1..40 {
        let (mut stream, mut peer) = memory();
        let stops = Duration::from_millis(550) * tenths;
        let peer = tokio::spawn(async move {
            let began = Instant::now();
            while began.elapsed() < stops {
                tokio::time::sleep(Duration::from_millis(550)).await;
                take(&mut peer, 20).await;
            }
            (Instant::now(), peer)
        });
        let error = stream.write_all(&[b'x'; 100_000]).await.unwrap_err();
        assert_eq!(CloseReason::from(&error), CloseReason::Stalled);
        let stopped = peer.await.unwrap().0.elapsed();
        assert!(stopped <= WINDOW + LOOK, "{tenths}: {stopped:?}");
        // What it took of the window before counts for it.
        assert!(stopped >= WINDOW - 6 * LOOK, "{tenths}: {stopped:?}");
    }
}

/// (7): neither an idle stream nor one whose data flows has a timer, and a writer whose write is done
/// leaves none behind.
#[tokio::test(start_paused = true)]
async fn no_timer_but_for_a_pending_call() {
    let (mut stream, mut peer) = memory();
    let (waker, wakes) = new_count_waker();
    advance(100 * WINDOW).await;
    assert_eq!(wakes, 0);
    // Data flows.
    for _ in 0..100 {
        assert_eq!(assert_ready_ok!(write(&mut stream, &waker, 60)), 60);
        take(&mut peer, 60).await;
        advance(WINDOW).await;
    }
    assert_eq!(wakes, 0);
    // It flows as fast as the peer takes it, and then there is no more to send.
    for round in 1..=100 {
        assert_eq!(assert_ready_ok!(write(&mut stream, &waker, 64)), 64);
        assert_pending!(write(&mut stream, &waker, 1));
        take(&mut peer, 64).await;
        assert_eq!(wakes, round, "the peer has made room");
        assert_eq!(assert_ready_ok!(write(&mut stream, &waker, 1)), 1);
        advance(3 * WINDOW).await;
        assert_eq!(wakes, round, "no timer");
        take(&mut peer, 1).await;
    }
    // And there is one when it is needed, twelve times in a window.
    assert_eq!(assert_ready_ok!(write(&mut stream, &waker, 64)), 64);
    assert_pending!(write(&mut stream, &waker, 1));
    for look in 1..=11 {
        advance(LOOK).await;
        assert_eq!(wakes, 100 + look);
        assert_pending!(write(&mut stream, &waker, 1));
    }
    advance(LOOK).await;
    assert_stalled(write(&mut stream, &waker, 1));
}

/// The time that a program takes to think is not the peer's.
#[tokio::test(start_paused = true)]
async fn pauses_do_not_count() {
    let (mut stream, mut peer) = memory();
    let waker = Waker::noop();
    assert_eq!(assert_ready_ok!(write(&mut stream, waker, 64)), 64);
    // Two looks of the window are spent, then comes a pause. A byte drains in each round.
    let mut spend = async |pause: Duration, rounds: usize| {
        for round in 0..rounds {
            assert_pending!(write(&mut stream, waker, 1), "{round}");
            for _ in 0..2 {
                advance(LOOK).await;
                assert_pending!(write(&mut stream, waker, 1), "{round}");
            }
            take(&mut peer, 1).await;
            assert_eq!(assert_ready_ok!(write(&mut stream, waker, 1)), 1);
            advance(pause).await;
        }
        write(&mut stream, waker, 1)
    };
    // A pause of a whole window begins a new one, however often.
    assert!(spend(WINDOW, 20).await.is_pending());
    // A shorter one only stops the clock: it goes on where it was.
    assert!(spend(WINDOW / 2, 5).await.is_pending());
    advance(LOOK).await;
    assert_pending!(write(&mut stream, waker, 1));
    advance(LOOK).await;
    assert_stalled(write(&mut stream, waker, 1));
}

/// A program gives a pending write up, and comes back much later: nobody has waited meanwhile.
#[tokio::test(start_paused = true)]
async fn a_write_that_was_given_up() {
    let (mut stream, mut peer) = memory();
    let given_up = tokio::time::timeout(LOOK / 2, stream.write_all(&[b'x'; 65])).await;
    assert!(given_up.is_err());
    advance(100 * WINDOW).await;
    let waker = Waker::noop();
    assert_pending!(write(&mut stream, waker, 1));
    take(&mut peer, 1).await;
    assert_eq!(assert_ready_ok!(write(&mut stream, waker, 1)), 1);
    // However often, and however little fits into one write: 64 bytes of 1000, and all of it is taken.
    let policy = StallPolicy::new(1000, WINDOW);
    let (io, mut healthy) = tokio::io::duplex(64);
    let config = MonitorConfig::new().stall(policy);
    let mut often = MonitoredStream::unwatched_with_config(io, &config);
    for _ in 0..20 {
        assert_eq!(assert_ready_ok!(write(&mut often, waker, 64)), 64);
        assert_pending!(write(&mut often, waker, 1));
        advance(3 * WINDOW).await;
        take(&mut healthy, 64).await;
    }
    // If it comes back in time, its window goes on.
    let began = Instant::now();
    let error = loop {
        let write = stream.write_all(b"x");
        if let Ok(written) = tokio::time::timeout(LOOK / 2, write).await {
            break written.unwrap_err();
        }
    };
    assert_eq!(CloseReason::from(&error), CloseReason::Stalled);
    assert!(began.elapsed() <= WINDOW + LOOK);
}

/// On a busy machine each poll came later than a window, and each one began a new window.
#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_always_late() {
    let (mut stream, _peer) = memory();
    let waker = Waker::noop();
    assert_eq!(assert_ready_ok!(write(&mut stream, waker, 64)), 64);
    for poll in 1..=13 {
        assert_pending!(write(&mut stream, waker, 1), "{poll}");
        advance(2 * WINDOW).await;
    }
    assert_stalled(write(&mut stream, waker, 1));
}

/// A program flushes while another's write is pending: that has nothing to do, and ends no window.
#[tokio::test(start_paused = true)]
async fn a_flush_between() {
    let (mut stream, _peer) = memory();
    let (waker, wakes) = new_count_waker();
    assert_eq!(assert_ready_ok!(write(&mut stream, &waker, 64)), 64);
    assert_pending!(write(&mut stream, &waker, 1));
    let flushed = Pin::new(&mut stream).poll_flush(&mut Context::from_waker(&waker));
    assert_ready_ok!(flushed);
    advance(LOOK).await;
    assert_eq!(wakes, 1);
}

/// A task that waits for its cooperative budget is not blocked by its peer.
#[tokio::test(start_paused = true)]
async fn out_of_budget_is_not_blocked() {
    let (mut stream, mut peer) = memory();
    let (waker, wakes) = new_count_waker();
    while let Poll::Ready(written) = write(&mut stream, &waker, 1) {
        assert_eq!(written.unwrap(), 1);
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let _ = Pin::new(&mut peer).poll_read(&mut Context::from_waker(&waker), &mut byte);
    }
    assert!(!tokio::task::coop::has_budget_remaining());
    // tokio's word that there is budget again.
    tokio::task::yield_now().await;
    assert_eq!(wakes, 1);
    advance(WINDOW).await;
    assert_eq!(wakes, 1, "no timer");
    // Nor has a window begun: when the peer blocks it, it has a whole one.
    while write(&mut stream, &waker, 64).is_ready() {}
    for look in 1..=11 {
        advance(LOOK).await;
        assert_pending!(write(&mut stream, &waker, 1), "{look}");
    }
    advance(LOOK).await;
    assert_stalled(write(&mut stream, &waker, 1));
}

/// Another task's pending read is told; what has arrived is read (5).
#[tokio::test(start_paused = true)]
async fn a_reader_hears_of_it() {
    let (stream, mut peer) = memory();
    let (mut input, mut output) = tokio::io::split(stream);
    let reader = tokio::spawn(async move {
        let mut byte = [0];
        let error = input.read(&mut byte).await.unwrap_err();
        (CloseReason::carried_by(&error).cloned(), input)
    });
    output.write_all(&[b'x'; 65]).await.unwrap_err();
    let (reason, mut input) = soon("the reader", reader).await.unwrap();
    assert_eq!(reason, Some(CloseReason::Stalled));
    peer.write_all(b"there").await.unwrap();
    let mut there = [0; 5];
    soon("a read", input.read_exact(&mut there)).await.unwrap();
    assert_eq!(&there, b"there");
    drop(peer);
    assert_eq!(input.read(&mut there).await.unwrap(), 0);
}

/// A stream whose flush, or shutdown, hangs, as that of a TLS stream may.
struct Hangs(bool);

impl AsyncWrite for Hangs {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncRead for Hangs {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_and_a_shutdown() {
    for flush in [true, false] {
        let mut stream = MonitoredStream::unwatched_with_config(Hangs(flush), &config());
        let began = Instant::now();
        let ended = match flush {
            true => stream.flush().await,
            false => stream.shutdown().await,
        };
        let error = ended.unwrap_err();
        assert_eq!(CloseReason::from(&error), CloseReason::Stalled);
        assert_eq!(began.elapsed(), WINDOW);
    }
}

#[test]
fn a_runtime_without_timers() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let refused = runtime.block_on(async {
        let (ours, _peer) = <crate::support::Tcp4 as crate::support::Pair>::pair();
        MonitoredStream::with_config(ours, &config()).unwrap_err()
    });
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("enable_time"), "{refused}");
}

/// The stream is moved to another runtime, and the one whose timer it uses ends.
#[test]
fn a_runtime_is_dropped() {
    let build = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = build();
    let (mut stream, _peer) = first.block_on(async { memory() });
    drop(first);
    let written = build().block_on(soon("the end", stream.write_all(&[b'x'; 65])));
    let error = written.unwrap_err();
    assert_eq!(CloseReason::from(&error), CloseReason::RuntimeShutdown);
}
