//! `finish_and_discard`: a server refuses an upload, and the client gets the answer.

#![cfg(unix)]

use crate::support::{Pair, Tcp4, soon};
use hangup::{CloseReason, MonitorConfig, MonitoredStream};
use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BODY: usize = 8 << 20;

/// A client that sends all of its body before it reads, as many do.
#[tokio::test]
async fn the_client_gets_the_answer() {
    let (ours, mut peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    let client = thread::spawn(move || {
        peer.write_all(&vec![7; BODY]).unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        answer
    });
    ours.read_exact(&mut [0; 1024]).await.unwrap();
    ours.write_all(b"413 too large").await.unwrap();
    let finishing = ours.finish_and_discard(crate::support::DEADLINE, 1 << 30);
    let transfer = soon("the end", finishing).await.unwrap();
    assert_eq!(transfer.read, BODY as u64);
    assert_eq!(ours.close_reason(), Some(CloseReason::Finished));
    drop(ours);
    assert_eq!(client.join().unwrap(), "413 too large");
}

#[tokio::test]
async fn it_is_bounded() {
    let (ours, mut peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    let error = ours
        .finish_and_discard(Duration::from_millis(50), 1 << 30)
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);

    let sender = thread::spawn(move || while peer.write_all(&[7; 65536]).is_ok() {});
    let finishing = ours.finish_and_discard(crate::support::DEADLINE, 1 << 20);
    let error = soon("the limit", finishing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    drop(ours);
    sender.join().unwrap();
}

/// With a limit of unsent bytes a write waits soon.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_limit_of_unsent_bytes_is_back_pressure() {
    async fn accepted(config: &MonitorConfig) -> u64 {
        let (ours, peer) = Tcp4::pair();
        // The peer's window, which is taken first, is the same for both.
        let mut ours = MonitoredStream::with_config(ours, config).unwrap();
        let filling = ours.write_all(&[0; 64 << 20]);
        let pending = tokio::time::timeout(Duration::from_millis(300), filling).await;
        pending.unwrap_err();
        drop(peer);
        ours.monitor().transfer().accepted
    }
    let unlimited = accepted(&MonitorConfig::new()).await;
    let limited = accepted(&MonitorConfig::new().unsent_limit(16 << 10)).await;
    assert!(limited + (1 << 20) < unlimited, "{limited}, {unlimited}");
    // Other sockets have no such option, and are wrapped all the same.
    let (ours, _peer) = crate::support::Unix::pair();
    MonitoredStream::with_config(ours, &MonitorConfig::new().unsent_limit(1)).unwrap();
}
