//! How many of the accepted bytes the peer has acknowledged, against what its program read.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]

use crate::support::{Pair, Peer, Tcp4, Tcp6, Unix, reason, soon};
use hangup::{CloseReason, MonitoredStream, Transfer};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use tokio::io::AsyncWriteExt;

/// What must hold of the numbers at any time.
fn checked(transfer: Transfer) -> Transfer {
    let acknowledged = transfer.acknowledged.expect("plain TCP");
    assert!(acknowledged <= transfer.accepted, "{transfer:?}");
    transfer
}

/// Waits until all accepted bytes are acknowledged.
async fn all_acknowledged(monitor: &hangup::Monitor) -> Transfer {
    soon("the acknowledgements", async {
        loop {
            let transfer = checked(monitor.transfer());
            if transfer.acknowledged == Some(transfer.accepted) {
                return transfer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn nothing_then_all() {
    for pair in [Tcp4::pair, Tcp6::pair] {
        let (ours, mut peer) = pair();
        let mut stream = MonitoredStream::new(ours).unwrap();
        let monitor = stream.monitor();
        assert_eq!(checked(monitor.transfer()).acknowledged, Some(0));
        soon("a write", stream.write_all(&[b'x'; 10_000]))
            .await
            .unwrap();
        assert_eq!(all_acknowledged(&monitor).await.accepted, 10_000);
        // Our FIN takes a number of its own, before and after it is acknowledged.
        soon("our shutdown", stream.shutdown()).await.unwrap();
        checked(monitor.transfer());
        let mut all = Vec::new();
        assert_eq!(peer.read_to_end(&mut all).unwrap(), 10_000);
        assert_eq!(all_acknowledged(&monitor).await.accepted, 10_000);
        drop(peer);
        assert_eq!(reason(&monitor).await, CloseReason::Finished);
        assert_eq!(checked(monitor.transfer()).acknowledged, Some(10_000));
        drop(stream);
        assert_eq!(checked(monitor.transfer()).acknowledged, Some(10_000));
    }
}

/// A write past the wrapper, before or after, and a Unix socket: nothing is told rather than something
/// wrong.
#[tokio::test]
async fn what_is_not_known_is_not_told() {
    let (mut ours, _peer) = Tcp4::pair();
    soon("a write", ours.write_all(b"before")).await.unwrap();
    let mut stream = MonitoredStream::new(ours).unwrap();
    soon("a write", stream.write_all(b"after")).await.unwrap();
    assert_eq!(stream.monitor().transfer().acknowledged, None);

    let (ours, _peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    soon("a write", stream.write_all(b"through it"))
        .await
        .unwrap();
    assert_eq!(all_acknowledged(&stream.monitor()).await.accepted, 10);
    soon("a write", stream.get_mut().write_all(b"past it"))
        .await
        .unwrap();
    // What was known stays true, and is all that can be told from now on.
    let monitor = stream.monitor();
    assert_eq!(monitor.transfer().acknowledged, Some(10));
    soon("a write", stream.write_all(b"through it"))
        .await
        .unwrap();
    let error = soon("no answer", stream.wait_acknowledged()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
    drop(stream);
    assert_eq!(monitor.transfer().acknowledged, Some(10));

    let (ours, _peer) = Unix::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    assert_eq!(stream.monitor().transfer().acknowledged, Some(0));
    soon("a write", stream.write_all(b"local")).await.unwrap();
    assert_eq!(stream.monitor().transfer().acknowledged, None);
}

/// The peer's kernel takes what its program does not read, up to its window: accepted is more.
#[tokio::test]
async fn a_peer_that_does_not_read() {
    let (ours, mut peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    let blocked = tokio::time::timeout(std::time::Duration::from_millis(500), async {
        loop {
            stream.write_all(&[b'x'; 65536]).await.unwrap();
        }
    });
    assert!(blocked.await.is_err());
    let told = checked(monitor.transfer());
    assert!(told.acknowledged < Some(told.accepted), "{told:?}");
    drop(stream);
    let at_the_drop = checked(monitor.transfer());
    // It is closed, not reset: the rest is delivered after the last number that could be told.
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all.len() as u64, told.accepted);
    assert_eq!(monitor.transfer(), at_the_drop);
}

#[tokio::test]
async fn drained_when_the_peer_reads() {
    let (ours, mut peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    soon("nothing to drain", stream.wait_acknowledged())
        .await
        .unwrap();
    let client = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all.len()
    });
    soon("a write", stream.write_all(&[b'x'; 3_000_000]))
        .await
        .unwrap();
    soon("the rest", stream.wait_acknowledged()).await.unwrap();
    assert_eq!(stream.monitor().transfer().acknowledged, Some(3_000_000));
    drop(stream);
    assert_eq!(client.join().unwrap(), 3_000_000);
}

#[tokio::test]
async fn not_drained_for_the_reason_why() {
    let (ours, peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    // More than the two kernels hold: something is left for ever.
    let writer = tokio::spawn(async move {
        while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
        stream
    });
    soon("the kernels to fill up", async {
        while monitor.transfer().accepted < 1_000_000 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (never, ()) = soon("the reason", async {
        tokio::join!(monitor.wait_acknowledged(), async { peer.reset() })
    })
    .await;
    let error = never.unwrap_err();
    assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Reset));
    drop(soon("the writer", writer).await.unwrap());

    let (ours, _peer) = Unix::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    soon("a write", stream.write_all(b"x")).await.unwrap();
    let error = soon("the answer", stream.wait_acknowledged())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn finished_when_the_peer_has_it_all() {
    let (ours, mut peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    soon("a write", stream.write_all(b"all of it"))
        .await
        .unwrap();
    let transfer = soon("the end", stream.finish(crate::support::DEADLINE)).await;
    assert_eq!(transfer.unwrap().acknowledged, Some(9));
    // The peer's program has not even read it yet.
    let mut all = String::new();
    peer.read_to_string(&mut all).unwrap();
    assert_eq!(all, "all of it");

    // A Unix socket does not know: the peer's own end is the answer.
    let (ours, mut peer) = Unix::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    soon("a write", stream.write_all(b"all of it"))
        .await
        .unwrap();
    let client = std::thread::spawn(move || peer.read_to_string(&mut String::new()).unwrap());
    let transfer = soon("the end", stream.finish(crate::support::DEADLINE)).await;
    assert_eq!(transfer.unwrap().acknowledged, None);
    assert_eq!(stream.close_reason(), Some(CloseReason::Finished));
    assert_eq!(client.join().unwrap(), 9);
}

#[tokio::test]
async fn not_finished_within_the_time() {
    let (ours, mut peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    let patience = std::time::Duration::from_millis(300);
    let blocked = tokio::time::timeout(patience, async {
        loop {
            stream.write_all(&[b'x'; 65536]).await.unwrap();
        }
    });
    assert!(blocked.await.is_err());
    let error = soon("the time", stream.finish(patience)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(CloseReason::carried_by(&error), None);
    let told = checked(monitor.transfer());
    assert!(told.acknowledged < Some(told.accepted));
    // The peer is there after all, and the stream is too.
    let client = std::thread::spawn(move || peer.read_to_end(&mut Vec::new()).unwrap());
    let transfer = soon("the end", stream.finish(crate::support::DEADLINE)).await;
    assert_eq!(transfer.unwrap().acknowledged, Some(told.accepted));
    assert_eq!(client.join().unwrap() as u64, told.accepted);
}

#[derive(Debug, Clone, Copy)]
enum Cut {
    /// The client half-closes, and reads no more.
    Fin,
    Rst,
    /// The client's process is killed.
    Kill,
}

/// Loopback's segments are 64 KiB, and the acknowledgement of up to two may be put off. A FIN brings it;
/// a reset does not.
const PUT_OFF: u64 = 2 * 65536;

/// Cuts at random points: what the client's program had read was acknowledged, or was about to be, and
/// what was acknowledged was accepted. A client that is still there can be asked: it is just what its
/// kernel has taken, read or not.
#[tokio::test(flavor = "multi_thread")]
async fn cuts_at_random_points() {
    let mut random = fastrand::Rng::with_seed(0x9E37_79B9_7F4A_7C15);
    for round in 0..201 {
        let cut = [Cut::Fin, Cut::Rst, Cut::Kill][round % 3];
        let after = random.u64(..4 << 20);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || match cut {
            Cut::Kill => {
                killed(address, after);
                None
            }
            cut => leave(TcpStream::connect(address).unwrap(), cut, after),
        });
        let (ours, _) = soon("the client", listener.accept()).await.unwrap();
        let mut stream = MonitoredStream::new(ours).unwrap();
        let monitor = stream.monitor();
        while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
        let peer = client.join().unwrap();
        reason(&monitor).await;
        let live = checked(monitor.transfer());
        let told = format!("round {round}, {cut:?} after {after}: {live:?}");
        let put_off = match cut {
            Cut::Fin => 0,
            Cut::Rst | Cut::Kill => PUT_OFF,
        };
        assert!(
            live.acknowledged >= Some(after.saturating_sub(put_off)),
            "{told}"
        );
        if let Some(peer) = &peer {
            // Nothing is sent any more, and it reads no more: the two kernels come to agree.
            soon("the kernels to agree", async {
                let taken = || Some(after + rustix::io::ioctl_fionread(peer).unwrap());
                while checked(monitor.transfer()).acknowledged != taken() {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        drop(stream);
        let frozen = checked(monitor.transfer());
        assert!(frozen.acknowledged >= live.acknowledged, "{told}");
        drop(peer);
        assert_eq!(monitor.transfer(), frozen);
    }
}

/// Reads `after` bytes and no more.
fn read_some(peer: &mut TcpStream, after: u64) {
    let mut left = after;
    let mut buffer = vec![0; 65536];
    while left > 0 {
        let room = usize::try_from(left).unwrap().min(buffer.len());
        left -= peer.read(&mut buffer[..room]).unwrap() as u64;
    }
}

/// Reads `after` bytes and leaves, as far as it does.
fn leave(mut peer: TcpStream, cut: Cut, after: u64) -> Option<TcpStream> {
    read_some(&mut peer, after);
    match cut {
        Cut::Fin => {
            peer.finish();
            Some(peer)
        }
        Cut::Rst | Cut::Kill => {
            peer.reset();
            None
        }
    }
}

/// A process that connects to `address`, reads `after` bytes and is killed.
fn killed(address: SocketAddr, after: u64) {
    let mut client = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "delivered::client_to_be_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("HANGUP_READ", format!("{address} {after}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(client.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().ends_with("has read")));
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
#[ignore = "the client of cuts_at_random_points, which starts it"]
fn client_to_be_killed() {
    let Ok(told) = std::env::var("HANGUP_READ") else {
        println!("skipped: it is started by cuts_at_random_points");
        return;
    };
    let (address, after) = told.split_once(' ').unwrap();
    let mut peer = TcpStream::connect(address).unwrap();
    read_some(&mut peer, after.parse().unwrap());
    println!("has read");
    // Until it is killed.
    let _ = std::io::stdin().read(&mut [0]);
}

/// What is known stays known, and a wait does not end because a question met a moment in which the counters
/// of the kernel and the stream's were of two times.
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_stays_known() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::task::{Context, Poll, Waker};
    use std::time::{Duration, Instant};

    let (ours, mut peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    let monitor = ours.monitor();
    std::thread::spawn(move || while peer.read(&mut [0; 65536]).unwrap_or(0) > 0 {});
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Handle::current();
    let asker = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let _runtime = runtime.enter();
            let mut last = None;
            while !stop.load(Relaxed) {
                let acknowledged = monitor.transfer().acknowledged;
                assert!(acknowledged >= last, "{last:?}, then {acknowledged:?}");
                last = acknowledged;
                let mut waiting = Box::pin(monitor.wait_acknowledged());
                let cx = &mut Context::from_waker(Waker::noop());
                if let Poll::Ready(Err(error)) = waiting.as_mut().poll(cx) {
                    panic!("{error}");
                }
            }
        }
    });
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) && !asker.is_finished() {
        for _ in 0..100 {
            ours.write_all(b"0123456789").await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    stop.store(true, Relaxed);
    asker.join().unwrap();
}
