//! Handshakes that are done, that fail, that never end: what the listener makes of them, and what they leave
//! behind.

#![cfg(all(target_os = "linux", feature = "tls", not(hangup_fallback)))]

use crate::support::tls::{BROKEN_RECORDS, Setup};
use crate::support::{DEADLINE, Pair, Peer, Tcp4, alone, reason, soon};
use hangup::tls::{FailedHandshake, TlsListener, accept, connect};
use hangup::{CloseReason, MonitorConfig, MonitoredListener, MonitoredStream, Status};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Listening {
    listener: TlsListener,
    connector: TlsConnector,
    address: SocketAddr,
    failed: UnboundedReceiver<FailedHandshake>,
}

async fn listening() -> Listening {
    let (connector, acceptor) = Setup::default().make();
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    // However busy the machine is, it is the handshake that says what a FIN means.
    let listener = listener.config(MonitorConfig::new().fin_delay(DEADLINE));
    let (tell, failed) = unbounded_channel();
    let listener = TlsListener::new(listener, acceptor)
        .handshake_timeout(DEADLINE)
        .on_failed_handshake(move |failed| {
            tell.send(failed).unwrap();
            panic!("what the callback does ends no listener");
        });
    Listening {
        address: listener.local_addr().unwrap(),
        listener,
        connector,
        failed,
    }
}

impl Listening {
    /// The next failure, with the listener accepting all the while.
    async fn failure(&mut self) -> FailedHandshake {
        let failure = soon("a failed handshake", async {
            tokio::select! {
                failure = self.failed.recv() => failure,
                accepted = self.listener.accept() => panic!("{accepted:?}"),
            }
        });
        failure.await.unwrap()
    }
}

/// A client's first words.
fn client_hello() -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut client =
        ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

#[tokio::test]
async fn who_says_nothing_holds_up_nobody() {
    let mut listening = listening().await;
    let silent: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(listening.address).unwrap())
        .collect();
    let socket = tokio::net::TcpStream::connect(listening.address);
    let socket = socket.await.unwrap();
    let name = "localhost".try_into().unwrap();
    let connecting = listening.connector.connect(name, socket);
    let (accepted, client) = soon("an accept", async {
        tokio::join!(listening.listener.accept(), connecting)
    })
    .await;
    let ((mut stream, peer), mut client) = (accepted.unwrap(), client.unwrap());
    assert_eq!(peer, client.get_ref().0.local_addr().unwrap());
    client.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    soon("a read", stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"hello");
    assert_eq!(stream.monitor().transfer().read, 5);
    assert_eq!(listening.listener.handshakes(), 20);
    drop(silent);
    for _ in 0..20 {
        assert_eq!(listening.failure().await.reason, CloseReason::Truncated);
    }
    assert_eq!(listening.listener.handshakes(), 0);
}

/// At the limit a connection waits; what ends the wait is the time that a handshake may take.
#[tokio::test]
async fn handshakes_are_bounded_in_number_and_time() {
    let mut listening = listening().await;
    let patience = Duration::from_millis(300);
    listening.listener = listening
        .listener
        .max_handshakes(2)
        .handshake_timeout(patience);
    let began = Instant::now();
    let silent: Vec<_> = (0..5)
        .map(|_| TcpStream::connect(listening.address).unwrap())
        .collect();
    for round in 0..5 {
        let failed = listening.failure().await;
        assert_eq!(failed.reason, CloseReason::TimedOut);
        assert_eq!(failed.error.kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= patience * (round / 2 + 1));
        assert!(listening.listener.handshakes() <= 2);
    }
    // Each of them was left.
    for mut client in silent {
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}

#[tokio::test]
async fn each_failure_has_its_reason() {
    let mut listening = listening().await;
    let hello = client_hello();
    let half = &hello[..hello.len() / 2];

    let mut client = TcpStream::connect(listening.address).unwrap();
    client.write_all(half).unwrap();
    drop(client);
    assert_eq!(listening.failure().await.reason, CloseReason::Truncated);

    let mut client = TcpStream::connect(listening.address).unwrap();
    client.write_all(half).unwrap();
    client.reset();
    assert_eq!(listening.failure().await.reason, CloseReason::Reset);

    let mut client = TcpStream::connect(listening.address).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(listening.failure().await.reason, CloseReason::Tls);

    let mut client = TcpStream::connect(listening.address).unwrap();
    client.write_all(BROKEN_RECORDS[1]).unwrap();
    assert_eq!(listening.failure().await.reason, CloseReason::Tls);

    // A client that does not trust the certificate.
    let socket = tokio::net::TcpStream::connect(listening.address);
    let socket = socket.await.unwrap();
    let address = socket.local_addr().unwrap();
    let stranger = Setup::default().make().0;
    tokio::spawn(async move {
        stranger
            .connect("localhost".try_into().unwrap(), socket)
            .await
    });
    let failed = listening.failure().await;
    assert_eq!(failed.reason, CloseReason::TlsAlert);
    assert_eq!(CloseReason::from(&failed.error), CloseReason::TlsAlert);
    assert_eq!(failed.peer, address);
}

/// A monitor that was taken before the handshake is told of a client that leaves half-way, and so is a
/// future; the handshake ends with the same reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_half_way() {
    let (_, acceptor) = Setup::default().make();
    for resets in [false, true] {
        let (ours, mut peer) = Tcp4::pair();
        let config = MonitorConfig::new().fin_delay(DEADLINE);
        let stream = MonitoredStream::with_config(ours, &config).unwrap();
        let monitor = stream.monitor();
        let acceptor = acceptor.clone();
        let shaking = tokio::spawn(async move { accept(&acceptor, stream).await });
        let hello = client_hello();
        peer.write_all(&hello).unwrap();
        // The server's answer: it waits for the client's.
        peer.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(monitor.probe(), Status::Open);
        let expected = match resets {
            true => {
                peer.reset();
                CloseReason::Reset
            }
            false => {
                peer.finish();
                CloseReason::Truncated
            }
        };
        assert_eq!(reason(&monitor).await, expected);
        let error = soon("the handshake", shaking).await.unwrap().unwrap_err();
        assert_eq!(CloseReason::from(&error), expected);
    }
}

/// Our own side as the client, and what `transfer` counts.
#[tokio::test]
async fn a_client_of_ours() {
    let (connector, acceptor) = Setup::default().make();
    let (ours, peer) = Tcp4::pair();
    peer.set_nonblocking(true).unwrap();
    let peer = tokio::net::TcpStream::from_std(peer).unwrap();
    let stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    let name = "localhost".try_into().unwrap();
    let (stream, peer) = soon("the handshake", async {
        tokio::join!(connect(&connector, name, stream), acceptor.accept(peer))
    })
    .await;
    let (mut stream, mut peer) = (stream.unwrap(), peer.unwrap());
    assert_eq!(monitor.transfer().accepted, 0);
    stream.write_all(b"hello").await.unwrap();
    stream.flush().await.unwrap();
    let mut heard = [0; 5];
    soon("a read", peer.read_exact(&mut heard)).await.unwrap();
    // The words above TLS, not the records; and nobody knows which of them are acknowledged.
    assert_eq!(monitor.transfer().accepted, 5);
    assert_eq!(monitor.transfer().acknowledged, None);
    peer.shutdown().await.unwrap();
    assert_eq!(soon("the end", stream.read(&mut [0])).await.unwrap(), 0);
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
}

/// What there is at a time.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    descriptors: usize,
    watched: usize,
    tasks: usize,
    handshakes: usize,
}

/// What there is when no task is left but the watcher's: the timer of a held FIN ends with the stream, at its
/// task's next turn.
async fn left(listener: &TlsListener) -> Left {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    soon("the last task", async {
        while tasks() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let mut left = Left {
        descriptors: 0,
        watched: 0,
        tasks: tasks(),
        handshakes: listener.handshakes(),
    };
    for descriptor in fs::read_dir("/proc/self/fd").unwrap() {
        left.descriptors += 1;
        // An epoll's file names each descriptor that it holds.
        let name = descriptor.unwrap().file_name();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", name.to_str().unwrap()));
        let info = info.unwrap_or_default();
        left.watched += info.lines().filter(|line| line.starts_with("tfd:")).count();
    }
    left
}

/// Bytes on the heap.
fn heap() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

const ABORTED: usize = 1000;

/// A thousand clients that leave at one of four points, by a FIN or by a reset.
async fn abort_a_thousand(listening: &mut Listening, hello: &[u8]) {
    let address = listening.address;
    for batch in 0..ABORTED / 100 {
        let clients: Vec<_> = (0..100)
            .map(|number| {
                let mut client = TcpStream::connect(address).unwrap();
                let said = match number % 4 {
                    0 => &[],
                    1 => &hello[..1],
                    2 => &hello[..hello.len() / 2],
                    _ => hello,
                };
                client.write_all(said).unwrap();
                client
            })
            .collect();
        // All of them are in their handshake, and some have the server's answer.
        while listening.listener.handshakes() < 100 {
            let accepting = listening.listener.accept();
            let moment = Duration::from_millis(1);
            assert!(tokio::time::timeout(moment, accepting).await.is_err());
        }
        for (number, client) in clients.into_iter().enumerate() {
            if number % 4 == 3 {
                client.set_read_timeout(Some(DEADLINE)).unwrap();
                (&client).read_exact(&mut [0; 5]).unwrap();
            }
            match (number + batch) % 2 {
                0 => client.reset(),
                _ => drop(client),
            }
        }
        for _ in 0..100 {
            let failed = listening.failure().await;
            let (reason, told) = (&failed.reason, CloseReason::from(&failed.error));
            assert_eq!(*reason, told, "{failed:?}");
            assert!(
                matches!(reason, CloseReason::Truncated | CloseReason::Reset),
                "{failed:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_aborted_handshakes_leave_nothing_behind() {
    if !alone("handshakes::a_thousand_aborted_handshakes_leave_nothing_behind") {
        return;
    }
    let mut listening = listening().await;
    let hello = client_hello();
    // What is made once: threads, the watcher, the largest size of each list.
    abort_a_thousand(&mut listening, &hello).await;
    let (before, bytes) = (left(&listening.listener).await, heap());
    abort_a_thousand(&mut listening, &hello).await;
    assert_eq!(left(&listening.listener).await, before);
    let after = heap();
    println!("heap: {bytes} bytes before, {after} after {ABORTED} more; {before:?}");
    // Less than the smallest thing that there is of each connection; lists may grow.
    assert!(
        after < bytes + ABORTED * 64,
        "{bytes} bytes, and then {after}"
    );
}
