//! A FIN behind a full receive window, and the side buffer that lets it through.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]

use crate::support::{DEADLINE, Pair, Peer, Tcp4, Tcp6, Unix, pour, reason, soon};
use hangup::{CloseReason, MonitorConfig, MonitoredStream, Status};
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::task::Spawn;
use tokio_test::{assert_pending, task};

const ROOM: usize = 64 << 20;

fn draining<P: Pair>(limit: usize) -> (MonitoredStream<P::Ours>, P::Peer) {
    let (ours, peer) = P::pair();
    let config = MonitorConfig::new().read_ahead(limit);
    (MonitoredStream::with_config(ours, &config).unwrap(), peer)
}

/// The byte at this place of what a peer sends.
fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

/// Sends until the two kernels take no more. Returns how much that was.
fn fill(peer: &mut TcpStream) -> usize {
    peer.set_nonblocking(true).unwrap();
    let mut sent = 0;
    loop {
        let chunk: Vec<u8> = (sent..sent + 65536).map(pattern).collect();
        match peer.write(&chunk) {
            Ok(bytes) => sent += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return sent,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads to the end: it must be the pattern, all of it.
async fn assert_all<S>(stream: &mut MonitoredStream<S>, sent: usize)
where
    MonitoredStream<S>: AsyncReadExt + Unpin,
{
    let mut all = Vec::new();
    soon("the input", stream.read_to_end(&mut all))
        .await
        .unwrap();
    assert_eq!(all.len(), sent);
    assert!(
        all.iter()
            .enumerate()
            .all(|(at, byte)| *byte == pattern(at))
    );
    assert_eq!(stream.monitor().transfer().read, sent as u64);
}

#[tokio::test]
async fn a_fin_behind_a_full_window_is_seen() {
    for pair in [draining::<Tcp4>, draining::<Tcp6>] {
        let (mut stream, mut peer) = pair(ROOM);
        let monitor = stream.monitor();
        let sent = fill(&mut peer);
        peer.finish();
        // It cannot be: the kernel has not seen it either.
        assert_eq!(monitor.probe(), Status::Open);
        soon("the FIN", async {
            while stream.write(b"event\n").await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
        assert_all(&mut stream, sent).await;
    }
}

/// A blocked writer makes way as well: its peer has sent, has half-closed, and does not read.
#[tokio::test]
async fn a_blocked_writer_makes_way() {
    let (mut stream, mut peer) = draining::<Tcp4>(ROOM);
    let monitor = stream.monitor();
    let sent = fill(&mut peer);
    peer.finish();
    let error = soon("the FIN", async {
        loop {
            if let Err(error) = stream.write_all(&[0; 65536]).await {
                return error;
            }
        }
    })
    .await;
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::PeerClosed)
    );
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    assert_all(&mut stream, sent).await;
}

/// What does not fit stays where it is, and nothing of it is lost.
#[tokio::test]
async fn no_more_than_the_limit_is_moved() {
    let (mut stream, mut peer) = draining::<Tcp4>(10_000);
    let monitor = stream.monitor();
    let sent = fill(&mut peer);
    peer.finish();
    for _ in 0..1000 {
        soon("a write", stream.write_all(b"event\n")).await.unwrap();
        // The runtime hears of what has come meanwhile.
        tokio::task::yield_now().await;
    }
    assert_eq!(monitor.probe(), Status::Open);
    assert_eq!(monitor.transfer().read, 0);
    assert_all(&mut stream, sent).await;
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
}

/// Without the option nothing is moved: the FIN stays hidden, as the documentation says.
#[tokio::test]
async fn without_it_the_fin_stays_hidden() {
    let (ours, mut peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    let sent = fill(&mut peer);
    peer.finish();
    for _ in 0..1000 {
        soon("a write", stream.write_all(b"event\n")).await.unwrap();
        // The runtime hears of what has come meanwhile.
        tokio::task::yield_now().await;
    }
    assert_eq!(stream.monitor().probe(), Status::Open);
    assert_all(&mut stream, sent).await;
}

/// The error behind the input comes to the read that has read all of it, once.
#[tokio::test]
async fn a_reset_comes_behind_what_had_arrived() {
    let (mut stream, mut peer) = draining::<Unix>(ROOM);
    soon("a write", stream.write_all(b"unread")).await.unwrap();
    let mut sent = 0;
    while sent < 50_000 {
        let chunk: Vec<u8> = (sent..sent + 1000).map(pattern).collect();
        peer.write_all(&chunk).unwrap();
        sent += chunk.len();
        if sent % 10_000 == 0 {
            soon("a write", stream.write_all(b"event\n")).await.unwrap();
        }
    }
    peer.reset();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);
    // A write that is refused makes way too.
    assert!(soon("the refusal", stream.write(b"event\n")).await.is_err());
    let mut all = Vec::new();
    let error = soon("the input", stream.read_to_end(&mut all)).await;
    assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
    assert!(
        all.iter()
            .enumerate()
            .all(|(at, byte)| *byte == pattern(at))
    );
    assert_eq!(all.len(), sent);
    assert_eq!(soon("the end", stream.read(&mut [0])).await.unwrap(), 0);
}

/// A task that reads and one that writes: the writes' look at the input does not cost the reader its
/// wake-up.
#[tokio::test]
async fn a_reader_beside_a_writer_is_woken() {
    let (stream, mut peer) = draining::<Tcp4>(ROOM);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let reading = tokio::spawn(async move {
        let mut bytes = Vec::new();
        while bytes.len() < 1000 {
            bytes.push(reader.read_u8().await.unwrap());
        }
        (bytes, reader)
    });
    for at in 0..1000 {
        // The reader is parked, a write looks at the input, and then comes what the reader waits for.
        tokio::task::yield_now().await;
        soon("a write", writer.write_all(b"x")).await.unwrap();
        peer.write_all(&[pattern(at)]).unwrap();
        if at % 2 == 0 {
            soon("a write", writer.write_all(b"x")).await.unwrap();
        }
    }
    let (bytes, _reader) = soon("the reader", reading).await.unwrap();
    assert!(
        bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| *byte == pattern(at))
    );
}

/// Polls a task as its runtime does: only when it was woken. Returns its output, or `None` if it stays asleep.
async fn run<F: Future>(task: &mut Spawn<F>, patience: Duration) -> Option<F::Output> {
    let mut began = Instant::now();
    while began.elapsed() < patience {
        if !task.is_woken() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        if let Poll::Ready(output) = task.poll() {
            return Some(output);
        }
        began = Instant::now();
    }
    None
}

/// A writer is blocked, and then comes more input than the window has room for, and a FIN. The reader of another task has
/// given up before, and is not about to read: the input woke it alone, nobody made way, and the FIN never came.
#[tokio::test]
async fn a_blocked_writer_makes_way_beside_a_reader_that_gave_up() {
    for way in 0..4 {
        let (stream, mut peer) = draining::<Tcp4>(ROOM);
        let monitor = stream.monitor();
        let (mut reader, mut writer) = stream.into_split();
        match way {
            0 => {
                let read = reader.try_read(&mut [0]);
                assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
            }
            1 => assert_pending!(task::spawn(reader.read(&mut [0])).poll()),
            _ => {}
        }
        let mut writing = task::spawn(pour(&mut writer));
        assert_pending!(writing.poll());
        let blocked = run(&mut writing, Duration::from_millis(50)).await;
        assert_eq!(blocked, None);
        // The other order: the read takes the place where the write waits for input.
        match way {
            2 => assert_pending!(task::spawn(reader.read(&mut [0])).poll()),
            3 => assert_pending!(task::spawn(reader.readable()).poll()),
            _ => {}
        }
        peer.fill();
        peer.finish();
        soon("the FIN", async {
            while !monitor.is_closed() {
                run(&mut writing, Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    }
}

/// As [`a_reader_beside_a_writer_is_woken`], for a reader that waits by `readable`.
#[tokio::test]
async fn a_reader_that_waits_for_readiness_beside_a_writer_is_woken() {
    let (stream, mut peer) = draining::<Tcp4>(ROOM);
    let (mut reader, mut writer) = stream.into_split();
    for tries in [false, true] {
        if tries {
            let read = reader.try_read(&mut [0]);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        let mut readable = task::spawn(reader.readable());
        assert_pending!(readable.poll());
        soon("a write", writer.write_all(b"x")).await.unwrap();
        peer.write_all(b"hello").unwrap();
        let woken = run(&mut readable, DEADLINE).await;
        woken.expect("the reader is asleep").unwrap();
        drop(readable);
        assert_eq!(reader.try_read(&mut [0; 9]).unwrap(), 5);
    }
}
