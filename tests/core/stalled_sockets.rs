//! The stall policy on real sockets: what has drained.

#![cfg(unix)]

use crate::support::{DEADLINE, Pair, Tcp4, Unix, pour, reason, soon, stall};
use hangup::{CloseReason, MonitorConfig, MonitoredStream};
use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

const KIB: u64 = 1024;

/// A peer that reads `bytes` each `every`, until the sender is dropped; then the connection is closed.
fn reader(
    mut peer: impl Read + Send + 'static,
    bytes: usize,
    every: Duration,
) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped): (_, Receiver<()>) = channel();
    let thread = std::thread::spawn(move || {
        let mut buffer = vec![0; bytes];
        while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            // An error is the end of our side.
            if peer.read(&mut buffer).is_err() {
                return;
            }
        }
    });
    (stop, thread)
}

async fn stops<P: Pair>() {
    let (ours, _peer) = P::pair();
    let window = Duration::from_millis(500);
    let mut stream = MonitoredStream::with_config(ours, &stall(1, window)).unwrap();
    let began = Instant::now();
    let told = soon("the stall", pour(&mut stream)).await;
    assert_eq!(told, CloseReason::Stalled);
    assert!(began.elapsed() >= window, "{:?}", began.elapsed());
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Stalled);
    // The kernel still has it all: without a reset nothing is taken from the peer.
    assert!(stream.monitor().transfer().accepted > 0);
}

#[tokio::test]
async fn a_peer_that_reads_nothing() {
    stops::<Tcp4>().await;
    stops::<Unix>().await;
}

/// What it reads comes out of the peer's kernel; ours gets rid of nothing.
async fn trickles<P: Pair>() {
    let (ours, peer) = P::pair();
    let (stop, thread) = reader(peer, 1, Duration::from_millis(20));
    let config = stall(1000, Duration::from_secs(1)).reset_on_stall(true);
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    assert_eq!(
        soon("the stall", pour(&mut stream)).await,
        CloseReason::Stalled
    );
    drop((stop, stream));
    thread.join().unwrap();
}

#[tokio::test]
async fn a_peer_that_trickles() {
    trickles::<Tcp4>().await;
    trickles::<Unix>().await;
}

/// Our kernel tells the writer of new room only when a third of its buffer is free, for a Unix socket
/// three quarters: that takes these readers longer than a window.
async fn is_slow<P: Pair>(bytes: usize, policy: MonitorConfig) {
    if cfg!(not(target_os = "linux")) || cfg!(hangup_fallback) {
        println!("skipped: is_slow: what has drained is known on Linux only");
        return;
    }
    let (ours, peer) = P::pair();
    let (stop, thread) = reader(peer, bytes, Duration::from_millis(100));
    let mut stream = MonitoredStream::with_config(ours, &policy).unwrap();
    let monitor = stream.monitor();
    let poured = tokio::time::timeout(Duration::from_secs(5), pour(&mut stream)).await;
    assert!(poured.is_err(), "{poured:?}");
    assert!(!monitor.is_closed());
    drop((stop, stream));
    thread.join().unwrap();
}

#[tokio::test]
async fn a_peer_that_is_slow() {
    tokio::join!(
        is_slow::<Tcp4>(32 * 1024, stall(16 * KIB, Duration::from_secs(1))),
        is_slow::<Unix>(8 * 1024, stall(4 * KIB, Duration::from_secs(1))),
    );
}

/// A daemon sent small messages over a Unix socket, and its reader was closed although it read twice what the policy
/// asked for. The kernel counts the memory of such a queue: when the writer had filled it again, it had grown by more
/// bytes than were accepted, as if nothing had been read.
#[tokio::test]
async fn a_peer_that_reads_small_messages() {
    let (ours, peer) = Unix::pair();
    // 20 KiB in a second, in steps of 2 KiB.
    let (stop, thread) = reader(peer, 2048, Duration::from_millis(100));
    let config = stall(8 * KIB, Duration::from_secs(1));
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    let monitor = stream.monitor();
    let poured = tokio::time::timeout(Duration::from_secs(6), async {
        loop {
            if let Err(error) = stream.write_all(&[b'x'; 100]).await {
                return error;
            }
        }
    });
    assert!(poured.await.is_err(), "{:?}", monitor.close_reason());
    assert!(!monitor.is_closed());
    drop((stop, stream));
    thread.join().unwrap();
}

/// A task looks until nothing is owed. Each write of a conversation started one: six system calls for a request that a
/// proxy passes on.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_conversation_has_one_task() {
    if cfg!(hangup_fallback) {
        println!("skipped: a_conversation_has_one_task: what has drained is known on Linux only");
        return;
    }
    let (ours, mut peer) = Tcp4::pair();
    let window = Duration::from_secs(1200);
    let mut stream = MonitoredStream::with_config(ours, &stall(1, window)).unwrap();
    let monitor = stream.monitor();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    // The runtime has reported that the socket is writable: a pending write would be judged too.
    soon("room", stream.get_ref().writable()).await.unwrap();
    let before = tasks();
    for (said, running) in [(1, 0), (2, 1), (3, 1), (4, 1)] {
        stream.write_all(b"x").await.unwrap();
        peer.read_exact(&mut [0]).unwrap();
        // Before the task runs, so it finds that nothing is owed.
        let began = std::time::Instant::now();
        while monitor.transfer().acknowledged != Some(said) {
            assert!(began.elapsed() < DEADLINE, "no acknowledgement");
            std::thread::yield_now();
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks() - before, running, "after {said} writes");
    }
    tokio::time::sleep(window / 4).await;
    assert_eq!(tasks(), before, "nothing was written for a while");
}

mod under_tls {
    use super::*;
    use crate::support::tls::default_handshake;

    #[tokio::test]
    async fn in_either_order() {
        let config = stall(1, Duration::from_millis(500)).reset_on_stall(true);
        let (ours, peer) = Tcp4::pair();
        let stream = MonitoredStream::with_config(ours, &config).unwrap();
        let monitor = stream.monitor();
        let (mut stream, _peer) = default_handshake(stream, peer).await;
        assert_eq!(
            soon("the stall", pour(&mut stream)).await,
            CloseReason::Stalled
        );
        assert_eq!(reason(&monitor).await, CloseReason::Stalled);

        let (ours, peer) = Tcp4::pair();
        let (stream, _peer) = default_handshake(ours, peer).await;
        let mut stream = MonitoredStream::with_config(stream, &config).unwrap();
        assert_eq!(
            soon("the stall", pour(&mut stream)).await,
            CloseReason::Stalled
        );
    }

    /// What the TLS stream accepts stands still for seconds: what the socket drains counts.
    #[tokio::test]
    async fn a_peer_that_is_slow() {
        if cfg!(not(target_os = "linux")) || cfg!(hangup_fallback) {
            println!("skipped: a_peer_that_is_slow: what has drained is known on Linux only");
            return;
        }
        let (ours, peer) = Tcp4::pair();
        let (stream, mut peer) = default_handshake(ours, peer).await;
        let config = stall(16 * KIB, Duration::from_secs(1));
        let mut stream = MonitoredStream::with_config(stream, &config).unwrap();
        let slow = tokio::spawn(async move {
            let mut buffer = vec![0; 32 * 1024];
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                peer.read_exact(&mut buffer).await.unwrap();
            }
        });
        let poured = tokio::time::timeout(Duration::from_secs(5), pour(&mut stream)).await;
        assert!(poured.is_err(), "{poured:?}");
        slow.abort();
    }
}

#[cfg(feature = "axum")]
mod http {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use bytes::Bytes;
    use hangup::{Monitor, MonitoredListener};
    use http_body::Frame;
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;

    /// axum's listener over ours. It hands out a monitor of each connection.
    struct Listener(MonitoredListener, mpsc::UnboundedSender<Monitor>);

    impl axum::serve::Listener for Listener {
        type Io = MonitoredStream<TcpStream>;
        type Addr = SocketAddr;

        async fn accept(&mut self) -> (Self::Io, SocketAddr) {
            let (stream, address) = self.0.accept().await.unwrap();
            self.1.send(stream.monitor()).unwrap();
            (stream, address)
        }

        fn local_addr(&self) -> std::io::Result<SocketAddr> {
            self.0.local_addr()
        }
    }

    struct Endless;

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 65536])))))
        }
    }

    /// A client of an axum server reads two chunks and stops. hyper is blocked in a write, and its
    /// connection ends with it.
    #[tokio::test]
    async fn under_axum() {
        let window = Duration::from_secs(1);
        let config = stall(1, window).reset_on_stall(true);
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let listener = listener.config(config);
        let address = listener.local_addr().unwrap();
        let (monitors, mut opened) = mpsc::unbounded_channel();
        let app = Router::new().route("/", get(async || Body::new(Endless)));
        let server = tokio::spawn(axum::serve(Listener(listener, monitors), app).into_future());

        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            .await
            .unwrap();
        let monitor = soon("the connection", opened.recv()).await.unwrap();
        let mut chunks = vec![0; 2 * 65536];
        soon("two chunks", client.read_exact(&mut chunks))
            .await
            .unwrap();
        let stopped = Instant::now();
        assert_eq!(reason(&monitor).await, CloseReason::Stalled);
        println!("under axum: stalled after {:?}", stopped.elapsed());
        server.abort();
    }
}
