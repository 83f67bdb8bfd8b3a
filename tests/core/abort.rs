//! `abort`: the connection is reset now, from wherever it is asked for.
//!
//! The numbers in comments are those of the invariants in `docs/architecture.md`.

#![cfg(unix)]

use crate::support::{Pair, Peer, Tcp4, Tcp6, Unix, alone, reason, soon, watched};
use futures_test::task::new_count_waker;
use hangup::{CloseReason, MonitoredStream};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_test::{assert_pending, assert_ready_ok};

/// Whether the reset is sent at once; else it is when the stream is dropped.
const AT_ONCE: bool = cfg!(all(target_os = "linux", not(hangup_fallback)));

/// Writes until the kernel takes no more.
async fn fill<S: AsyncWrite + Unpin>(stream: &mut MonitoredStream<S>, waker: &Waker) {
    soon("a write", stream.write_all(b"x")).await.unwrap();
    // A new budget: a task that has used its own up is told "pending" although the kernel would take more.
    tokio::task::yield_now().await;
    let cx = &mut Context::from_waker(waker);
    for _ in 0..100_000 {
        match Pin::new(&mut *stream).poll_write(cx, &[b'x'; 65536]) {
            Poll::Ready(written) => assert!(written.unwrap() > 0),
            Poll::Pending => return,
        }
    }
    panic!("the kernel takes everything");
}

/// All that the peer can read, and how that ended.
fn all(peer: &mut impl Read) -> (u64, Option<ErrorKind>) {
    let (mut bytes, mut buffer) = (0, vec![0; 65536]);
    loop {
        match peer.read(&mut buffer) {
            Ok(0) => return (bytes, None),
            Ok(read) => bytes += read as u64,
            Err(error) => return (bytes, Some(error.kind())),
        }
    }
}

/// Every kind of call of an aborted stream fails with the reason.
async fn assert_over<S>(stream: &mut MonitoredStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = [0; 16];
    for error in [
        soon("a read", stream.read(&mut buffer)).await.unwrap_err(),
        soon("a write", stream.write(b"x")).await.unwrap_err(),
        soon("a read", stream.read(&mut buffer)).await.unwrap_err(),
    ] {
        assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Aborted));
    }
}

async fn blocked<P: Pair>() {
    let (mut stream, mut peer) = watched::<P>();
    let (monitor, (waker, wakes)) = (stream.monitor(), new_count_waker());
    fill(&mut stream, &waker).await;
    let told = monitor.transfer();
    let before = wakes.get();
    // Any thread, and no runtime.
    let elsewhere = monitor.clone();
    std::thread::spawn(move || elsewhere.abort())
        .join()
        .unwrap();
    assert_eq!(wakes, before + 1, "the writer's wake-up");
    assert_eq!(reason(&monitor).await, CloseReason::Aborted);
    assert!(CloseReason::Aborted.is_local());
    assert_over(&mut stream).await;
    assert_eq!(monitor.transfer().accepted, told.accepted);
    if !AT_ONCE {
        drop(stream);
        return;
    }
    // The stream is still there, and its descriptor open.
    let frozen = monitor.transfer();
    let (bytes, end) = all(&mut peer);
    if P::TCP {
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
        // What had arrived, of which the peer's kernel may have put off to acknowledge the last.
        assert!(told.acknowledged.is_some() && told.acknowledged <= frozen.acknowledged);
        assert!(frozen.acknowledged <= Some(bytes), "{bytes} of {frozen:?}");
        assert!(bytes < told.accepted, "the rest is dropped");
    } else {
        assert_eq!((bytes, end), (told.accepted, None));
    }
    drop(stream);
    assert_eq!(monitor.transfer(), frozen);
}

#[tokio::test]
async fn a_blocked_writer() {
    blocked::<Tcp4>().await;
    blocked::<Tcp6>().await;
    blocked::<Unix>().await;
}

async fn reading<P: Pair>() {
    let (mut stream, peer) = watched::<P>();
    let monitor = stream.monitor();
    let reader = tokio::spawn(async move {
        assert_over(&mut stream).await;
        stream
    });
    tokio::task::yield_now().await;
    monitor.abort();
    drop(soon("the reader", reader).await.unwrap());
    drop(peer);
    assert_eq!(reason(&monitor).await, CloseReason::Aborted);
}

#[tokio::test]
async fn a_pending_reader() {
    reading::<Tcp4>().await;
    reading::<Tcp6>().await;
    reading::<Unix>().await;
}

/// Nobody but us can wake the reader of a stream without a socket.
#[tokio::test]
async fn a_stream_without_a_socket() {
    let (io, mut peer) = tokio::io::duplex(64);
    let mut stream = MonitoredStream::unwatched(io);
    let ((waker, wakes), mut buffer) = (new_count_waker(), [0; 5]);
    let mut buffer = ReadBuf::new(&mut buffer);
    let cx = &mut Context::from_waker(&waker);
    assert_pending!(Pin::new(&mut stream).poll_read(cx, &mut buffer));
    stream.abort();
    assert_eq!(wakes, 1);
    // (5)
    soon("a write", peer.write_all(b"there")).await.unwrap();
    let mut there = [0; 5];
    soon("a read", stream.read_exact(&mut there)).await.unwrap();
    assert_eq!(&there, b"there");
    assert_over(&mut stream).await;
}

/// The peer's own end wakes a parked reader no second time.
#[tokio::test]
async fn a_reader_is_woken_for_the_peers_end_once() {
    let (io, peer) = tokio::io::duplex(64);
    let mut stream = MonitoredStream::unwatched(io);
    let ((waker, wakes), mut buffer) = (new_count_waker(), [0; 5]);
    let mut buffer = ReadBuf::new(&mut buffer);
    let cx = &mut Context::from_waker(&waker);
    assert_pending!(Pin::new(&mut stream).poll_read(cx, &mut buffer));
    drop(peer);
    assert_ready_ok!(Pin::new(&mut stream).poll_read(cx, &mut buffer));
    assert_eq!(wakes, 1);
    assert_eq!(stream.close_reason(), Some(CloseReason::PeerClosed));
}

/// A server hears of an abort and drops the stream at once, before the abort has come to the reset:
/// the kernel would keep what it had accepted, and go on sending it.
#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_dropped_meanwhile() {
    for _ in 0..300 {
        let (mut stream, mut peer) = watched::<Tcp4>();
        let monitor = stream.monitor();
        fill(&mut stream, Waker::noop()).await;
        let told = monitor.transfer();
        let closed = stream.closed();
        let owner = tokio::spawn(async move {
            closed.await;
            drop(stream);
        });
        let elsewhere = monitor.clone();
        let aborter = std::thread::spawn(move || elsewhere.abort());
        soon("the owner", owner).await.unwrap();
        aborter.join().unwrap();
        let (bytes, end) = all(&mut peer);
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
        assert!(bytes < told.accepted, "{bytes} of {told:?}");
        assert_eq!(reason(&monitor).await, CloseReason::Aborted);
    }
}

/// While another thread writes all the time: the last numbers are told, and are right.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_writes() {
    for _ in 0..100 {
        let (mut stream, mut peer) = watched::<Tcp4>();
        let monitor = stream.monitor();
        let reader = std::thread::spawn(move || all(&mut peer));
        let writer = tokio::spawn(async move {
            loop {
                if let Err(error) = stream.write_all(&[b'x'; 65536]).await {
                    return (CloseReason::carried_by(&error).cloned(), stream);
                }
            }
        });
        soon("some bytes", async {
            while monitor.transfer().accepted < 1 << 20 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        monitor.abort();
        // The reset comes with the end of the write that is under way.
        let (reason, stream) = soon("the writer", writer).await.unwrap();
        let told = monitor.transfer();
        assert_eq!(reason, Some(CloseReason::Aborted));
        if AT_ONCE {
            assert!(told.acknowledged <= Some(told.accepted));
            assert!(told.acknowledged.is_some(), "{told:?}");
            let (bytes, end) = reader.join().unwrap();
            assert_eq!(end, Some(ErrorKind::ConnectionReset));
            assert!(Some(bytes) <= Some(told.accepted), "{bytes} of {told:?}");
        }
        drop(stream);
        assert_eq!(monitor.transfer(), told);
    }
}

/// A peer that half-closed and does not read would hold the connection: its reason stays, and it goes.
#[tokio::test]
async fn after_the_peers_fin() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    let monitor = stream.monitor();
    fill(&mut stream, Waker::noop()).await;
    peer.finish();
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    stream.abort();
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    if AT_ONCE {
        assert_eq!(all(&mut peer).1, Some(ErrorKind::ConnectionReset));
    }
    drop(stream);
}

/// (3): after the drop the number may be another connection's, and that is left alone.
#[tokio::test]
async fn after_the_drop() {
    if !alone("abort::after_the_drop") {
        return;
    }
    // The watcher's own descriptors come first.
    drop(watched::<Tcp4>());
    let (stream, peer) = watched::<Tcp4>();
    let (monitor, number) = (stream.monitor(), stream.as_raw_fd());
    drop((stream, peer));
    let mut others = Vec::new();
    let (mut other, mut other_peer) = soon("the number", async {
        loop {
            let (other, peer) = watched::<Tcp4>();
            if other.as_raw_fd() == number {
                return (other, peer);
            }
            others.push((other, peer));
        }
    })
    .await;
    monitor.abort();
    assert_eq!(reason(&monitor).await, CloseReason::Dropped);
    soon("a write", other.write_all(b"alive")).await.unwrap();
    let mut alive = [0; 5];
    other_peer.read_exact(&mut alive).unwrap();
    other_peer.write_all(b"alive").unwrap();
    soon("a read", other.read_exact(&mut alive)).await.unwrap();
    assert!(!other.is_closed());
}

#[tokio::test]
async fn twice_and_taken_out() {
    let (stream, mut peer) = watched::<Tcp4>();
    stream.abort();
    stream.abort();
    let bare = stream.into_inner();
    if AT_ONCE {
        assert_eq!(all(&mut peer).1, Some(ErrorKind::ConnectionReset));
        assert_eq!(
            bare.peer_addr().unwrap_err().kind(),
            ErrorKind::NotConnected
        );
    }
}
