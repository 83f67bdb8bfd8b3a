//! What a stream costs, and what is given back. Alone in its program, as it counts the program's bytes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures::FutureExt;
use hangup::{MonitorConfig, MonitoredStream};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream, UnixStream};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many bytes more are in use after `body`. The threads of the harness and of the runtime may have
/// allocated a little meanwhile.
async fn growth(body: impl AsyncFnOnce()) -> isize {
    let region = Region::new(ALLOCATOR);
    body().await;
    let change = region.change();
    change.bytes_allocated.cast_signed() - change.bytes_deallocated.cast_signed()
}

/// One test function: each counts the bytes of the whole program.
#[tokio::test]
async fn memory_is_given_back() {
    grace_periods_of_one_connection().await;
    the_read_ahead_buffer().await;
    idle_connections().await;
    a_future_of_the_close().await;
}

/// Idle connections with a monitor each: the state, the socket, and the place in the watcher. Then most of
/// them go, and what stays is not the first ones.
async fn idle_connections() {
    const CONNECTIONS: usize = 1000;
    const STAY: usize = 10;
    // `tracing` keeps what its event says: the span, the peer, the time. `metrics` keeps the time.
    let recorded = match (cfg!(feature = "tracing"), cfg!(feature = "metrics")) {
        (true, _) => 120,
        (false, true) => 24,
        (false, false) => 0,
    };
    let mut bare = Vec::with_capacity(CONNECTIONS);
    let mut peers = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let (ours, peer) = UnixStream::pair().unwrap();
        bare.push(ours);
        peers.push(peer);
    }
    let mut watched = Vec::with_capacity(CONNECTIONS);
    let monitor = |stream| {
        let stream = MonitoredStream::new(stream).unwrap();
        (stream.monitor(), stream)
    };
    // The first one makes the watcher.
    let first = monitor(bare.pop().unwrap());
    let grown = growth(async || {
        for stream in bare.drain(..) {
            watched.push(monitor(stream));
        }
    });
    let grown = grown.await.cast_unsigned();
    let each = grown / watched.len();
    println!("{each} bytes for an idle connection with a monitor");
    assert!(each <= 256 + recorded, "{each} bytes for each");

    let left = growth(async || {
        let gone = watched.len() - STAY;
        for (monitor, stream) in watched.drain(..gone) {
            // tokio notes each stream that is dropped, so they go later.
            bare.push(stream.into_inner());
            drop(monitor);
        }
    });
    let left = left.await.unsigned_abs();
    assert!(
        grown - left <= (STAY + 1) * (256 + recorded),
        "of {grown} bytes {left} were given back"
    );
    drop((first, bare, peers));
}

/// Futures that await the close, and their places after a peak.
async fn a_future_of_the_close() {
    const FUTURES: usize = 10_000;
    let stream = MonitoredStream::unwatched(duplex(1).0);
    let mut closed = Vec::with_capacity(FUTURES);
    let grown = growth(async || {
        let mut first = stream.closed();
        assert!((&mut first).now_or_never().is_none());
        closed.push(first);
    });
    assert_eq!(grown.await, 24, "bytes for the first future");
    let grown = growth(async || {
        for _ in 1..FUTURES {
            let mut future = stream.closed();
            assert!((&mut future).now_or_never().is_none());
            closed.push(future);
        }
        closed.truncate(1);
    });
    let grown = grown.await;
    assert!(grown < 256, "{grown} bytes are kept");
}

/// A connection that stays open serves many requests, each with a period of grace.
async fn grace_periods_of_one_connection() {
    const USES: isize = 10_000;
    let stream = MonitoredStream::unwatched(duplex(1).0);
    let monitor = stream.monitor();
    let grown = growth(async || {
        for _ in 0..USES {
            let grace = monitor.grace_period(Duration::from_secs(1)).unwrap();
            drop(grace.cancellation_token());
            grace.end();
        }
    });
    let grown = grown.await;
    assert!(
        grown < USES,
        "{grown} bytes for {USES} periods that were ended"
    );
    let grown = growth(async || {
        for _ in 0..USES {
            let grace = monitor.grace_period(Duration::from_secs(1)).unwrap();
            let token = grace.cancellation_token();
            drop((grace, token));
        }
    });
    let grown = grown.await;
    assert!(
        grown < USES,
        "{grown} bytes for {USES} periods that were dropped"
    );
    drop(stream);
}

/// What was moved to the side and has been read needs no room.
async fn the_read_ahead_buffer() {
    const BURST: usize = 1 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let config = MonitorConfig::new().read_ahead(BURST);
    let (ours, _) = listener.accept().await.unwrap();
    let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
    let mut taken = vec![0; BURST];
    let grown = growth(async || {
        let sending = async { peer.write_all(&[7; BURST]).await.unwrap() };
        let moving = async {
            for _ in 0..100 {
                ours.write_all(b"x").await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            ours.read_exact(&mut taken).await.unwrap();
        };
        tokio::join!(sending, moving);
    });
    let grown = grown.await;
    assert!(grown < 65_536, "{grown} bytes are kept");
}
