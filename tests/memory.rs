//! What is given back. Alone in its program, as it counts the program's bytes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hangup::{MonitorConfig, MonitoredStream};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};

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
