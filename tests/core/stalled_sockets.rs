//! The stall policy on real sockets: what has drained, and a server full of stalled clients.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a test: a panic is its failure

mod support;
#[path = "support/tls.rs"]
mod tls;

use hangup::{
    CloseReason, Monitor, MonitorConfig, MonitoredListener, MonitoredStream, StallPolicy,
};
use std::io::Read;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;
use support::{Pair, Tcp4, Unix, reason, soon};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

const KIB: u64 = 1024;

fn config(bytes: u64, window: Duration) -> MonitorConfig {
    MonitorConfig::new().stall(StallPolicy::new(bytes, window))
}

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

/// Writes until it fails.
async fn pour(stream: &mut (impl AsyncWrite + Unpin)) -> CloseReason {
    loop {
        if let Err(error) = stream.write_all(&[b'x'; 65536]).await {
            return (&error).into();
        }
    }
}

async fn stops<P: Pair>() {
    let (ours, _peer) = P::pair();
    let window = Duration::from_millis(500);
    let mut stream = MonitoredStream::with_config(ours, &config(1, window)).unwrap();
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
    let config = config(1000, Duration::from_secs(1)).reset_on_abort(true);
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
        is_slow::<Tcp4>(32 * 1024, config(16 * KIB, Duration::from_secs(1))),
        is_slow::<Unix>(8 * 1024, config(4 * KIB, Duration::from_secs(1))),
    );
}

mod under_tls {
    use super::*;
    use tls::Setup;
    use tokio_rustls::{client, server};

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        ours: S,
        peer: std::net::TcpStream,
    ) -> (server::TlsStream<S>, client::TlsStream<TcpStream>) {
        let made = tls::handshake(Setup::default(), ours, peer);
        soon("the handshake", made).await
    }

    #[tokio::test]
    async fn in_either_order() {
        let config = config(1, Duration::from_millis(500)).reset_on_abort(true);
        let (ours, peer) = Tcp4::pair();
        let stream = MonitoredStream::with_config(ours, &config).unwrap();
        let monitor = stream.monitor();
        let (mut stream, _peer) = handshake(stream, peer).await;
        assert_eq!(
            soon("the stall", pour(&mut stream)).await,
            CloseReason::Stalled
        );
        assert_eq!(reason(&monitor).await, CloseReason::Stalled);

        let (ours, peer) = Tcp4::pair();
        let (stream, _peer) = handshake(ours, peer).await;
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
        let (stream, mut peer) = handshake(ours, peer).await;
        let config = config(16 * KIB, Duration::from_secs(1));
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

mod http {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use bytes::Bytes;
    use http_body::Frame;
    use std::convert::Infallible;
    use std::net::SocketAddr;
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
        let config = config(1, window).reset_on_abort(true);
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let listener = listener.with_config(config);
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

#[cfg(all(target_os = "linux", not(hangup_fallback)))]
mod crowd {
    use super::*;
    use socket2::SockRef;
    use std::process::Command;
    use support::DEADLINE;

    /// The memory of all TCP sockets here, in bytes.
    fn tcp_memory() -> i64 {
        let told = std::fs::read_to_string("/proc/net/sockstat").unwrap();
        let tcp = told.lines().find(|line| line.starts_with("TCP:")).unwrap();
        let pages: i64 = tcp.split(" mem ").nth(1).unwrap().parse().unwrap();
        let page = Command::new("getconf").arg("PAGESIZE").output().unwrap();
        let page: i64 = String::from_utf8(page.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        pages * page
    }

    const STALLED: usize = 500;
    const HEALTHY: usize = 50;
    /// What a healthy client reads in a second, and for how many.
    const RATE: usize = 64 * 1024;
    const SECONDS: usize = 8;

    fn raise_the_descriptor_limit() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, limit).unwrap();
    }

    /// A hundred clients of a server read two chunks and stopped. They pinned their sockets, and the kernel's
    /// memory under them, past every time limit of that server, and cost their owner one byte each. Here are
    /// five hundred, and fifty that are only slow.
    #[tokio::test(flavor = "multi_thread")]
    async fn five_hundred_clients_read_two_chunks_and_stop() {
        raise_the_descriptor_limit();
        // A client's kernel tells of new room in lumps of half its buffer: a healthy one needs time for some.
        let window = Duration::from_secs(4);
        let config = config(16 * KIB, window).reset_on_abort(true);
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let listener = listener.with_config(config);
        let address = listener.local_addr().unwrap();
        let before = tcp_memory();

        // The first byte of a client says what it is. A stalled one's stream is kept: what frees the memory
        // is the reset, not the close.
        let server = tokio::spawn(async move {
            let mut handlers = tokio::task::JoinSet::new();
            for _ in 0..STALLED + HEALTHY {
                let (mut stream, address) = soon("a client", listener.accept()).await.unwrap();
                handlers.spawn(async move {
                    SockRef::from(&stream)
                        .set_send_buffer_size(128 * 1024)
                        .unwrap();
                    if stream.read_u8().await.unwrap() == b's' {
                        let reason = soon("the stall", pour(&mut stream)).await;
                        return (Some((address, Instant::now())), reason, stream);
                    }
                    let all = vec![b'x'; SECONDS * RATE];
                    soon("a healthy client", stream.write_all(&all))
                        .await
                        .unwrap();
                    stream.shutdown().await.unwrap();
                    let reason = soon("its end", stream.closed()).await;
                    (None, reason, stream)
                });
            }
            let (mut stalled, mut healthy) = (Vec::new(), 0);
            let mut freed = None;
            while let Some(ended) = handlers.join_next().await {
                let (when, reason, stream) = ended.unwrap();
                match when {
                    Some((address, when)) => {
                        assert_eq!(reason, CloseReason::Stalled);
                        stalled.push((address, when, stream));
                        if stalled.len() == STALLED {
                            freed = Some(tcp_memory());
                            assert_eq!(healthy, 0, "they are not done before");
                        }
                    }
                    None => {
                        assert_eq!(reason, CloseReason::Finished);
                        healthy += 1;
                    }
                }
            }
            assert_eq!(healthy, HEALTHY);
            (stalled, freed.unwrap())
        });

        let healthy: Vec<_> = (0..HEALTHY)
            .map(|_| {
                tokio::spawn(async move {
                    let mut client = TcpStream::connect(address).await.unwrap();
                    client.write_all(b"h").await.unwrap();
                    let mut second = tokio::time::interval(Duration::from_secs(1));
                    let mut buffer = vec![0; RATE];
                    for _ in 0..SECONDS {
                        second.tick().await;
                        soon("a second's bytes", client.read_exact(&mut buffer))
                            .await
                            .unwrap();
                        assert!(buffer.iter().all(|byte| *byte == b'x'));
                    }
                    assert_eq!(client.read(&mut buffer).await.unwrap(), 0);
                })
            })
            .collect();
        let mut clients = Vec::new();
        for _ in 0..STALLED {
            clients.push(tokio::spawn(async move {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.set_recv_buffer_size(16 * 1024).unwrap();
                let mut client = socket.connect(address).await.unwrap();
                client.write_all(b"s").await.unwrap();
                let mut chunks = [0; 2 * 8192];
                soon("two chunks", client.read_exact(&mut chunks))
                    .await
                    .unwrap();
                (client, Instant::now())
            }));
        }
        let mut stopped = std::collections::HashMap::new();
        for client in clients {
            let (client, when) = client.await.unwrap();
            stopped.insert(client.local_addr().unwrap(), (client, when));
        }
        let all_stopped = Instant::now();
        tokio::time::sleep_until(all_stopped + window / 2).await;
        let during = tcp_memory();

        let (stalled, after) = soon("the server", server).await.unwrap();
        for client in healthy {
            client.await.unwrap();
        }
        let late = stalled
            .iter()
            .map(|(address, ended, _)| *ended - stopped[address].1);
        let latest = late.max().unwrap();
        let (held, still) = ((during - before) / 1024, (after - before) / 1024);
        println!(
            "{STALLED} stalled clients, window {window:?}: the last was ended {latest:?} after it stopped; \
         TCP memory before {} KiB, {held} KiB more while they stalled, {still} KiB more after",
            before / 1024
        );
        let bound = window + window / 10;
        assert!(latest < bound + Duration::from_secs(1), "{latest:?}");
        assert!(held > 100 * i64::try_from(STALLED).unwrap(), "{held} KiB");
        // What is left is the clients' own: their sockets are open still, with input that nobody reads.
        assert!(still < held / 2, "{still} of {held} KiB are still there");
        drop((stalled, stopped));
        assert!(all_stopped.elapsed() < DEADLINE);
    }
}
