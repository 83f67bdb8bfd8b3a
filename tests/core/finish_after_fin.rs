//! The orderly end of a stream whose peer has sent its FIN, and reads on.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]

use crate::support::{DEADLINE, Pair, Peer, Tcp4, reason, soon};
use hangup::{CloseReason, HalfClose, MonitorConfig, MonitoredStream};
use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;
use std::task::Poll;
use std::thread;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

fn allowed() -> MonitorConfig {
    MonitorConfig::new().half_close(HalfClose::Allow)
}

/// Writes until a write is pending: the two kernels hold all that they take, and a part of it is on our side.
async fn fill(stream: &mut MonitoredStream<TcpStream>) -> u64 {
    stream.get_ref().writable().await.unwrap();
    let mut filled = 0;
    loop {
        let written = poll_fn(|cx| {
            let pinned = Pin::new(&mut *stream);
            Poll::Ready(pinned.poll_write(cx, &[b'x'; 65536]))
        });
        match written.await {
            Poll::Ready(bytes) => filled += bytes.unwrap() as u64,
            Poll::Pending => return filled,
        }
    }
}

fn take_all(mut peer: std::net::TcpStream) -> thread::JoinHandle<u64> {
    thread::spawn(move || peer.read_to_end(&mut Vec::new()).unwrap() as u64)
}

/// A client that sends its request, half-closes, and then takes the whole answer.
#[tokio::test]
async fn finish_waits_for_a_peer_that_had_half_closed() {
    let (ours, peer) = Tcp4::pair();
    let mut ours = MonitoredStream::with_config(ours, &allowed()).unwrap();
    peer.finish();
    soon("the FIN", ours.read_to_end(&mut Vec::new()))
        .await
        .unwrap();
    let filled = fill(&mut ours).await;
    let client = take_all(peer);
    let sent = soon("the end", ours.finish(DEADLINE)).await.unwrap();
    assert_eq!(sent.acknowledged, Some(filled));
    assert_eq!(ours.close_reason(), Some(CloseReason::Finished));
    drop(ours);
    assert_eq!(client.join().unwrap(), filled);
}

/// The FIN of the peer comes after ours, and before it has taken all.
#[tokio::test]
async fn so_it_does_if_the_half_close_comes_meanwhile() {
    let (ours, peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    let filled = fill(&mut ours).await;
    soon("our shutdown", ours.shutdown()).await.unwrap();
    peer.finish();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Finished);
    let client = take_all(peer);
    let waiting = ours.wait_acknowledged();
    soon("the acknowledgements", waiting).await.unwrap();
    assert_eq!(client.join().unwrap(), filled);
}

/// The connection ends behind the two FINs: nobody waits for acknowledgements any more.
#[tokio::test]
async fn a_reset_behind_the_fins_ends_it() {
    let (ours, peer) = Tcp4::pair();
    let mut ours = MonitoredStream::with_config(ours, &allowed()).unwrap();
    fill(&mut ours).await;
    soon("our shutdown", ours.shutdown()).await.unwrap();
    peer.finish();
    soon("the FIN", ours.read_to_end(&mut Vec::new()))
        .await
        .unwrap();
    let monitor = ours.monitor();
    let mut waiting = std::pin::pin!(monitor.wait_acknowledged());
    let first = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx)));
    assert!(first.await.is_pending());
    peer.reset();
    let error = soon("the reset", waiting).await.unwrap_err();
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::Finished)
    );
}

/// The same of `reset_after_delivery`, which says how the stream closed, and not that the time is over.
#[tokio::test]
async fn a_reset_behind_a_fin_ends_the_wait_for_the_delivery() {
    let (ours, peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    fill(&mut ours).await;
    peer.finish();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
    let (ended, ()) = soon("the end", async {
        tokio::join!(ours.reset_after_delivery(DEADLINE), async { peer.reset() })
    })
    .await;
    let error = ended.unwrap_err();
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::PeerClosed)
    );
}
