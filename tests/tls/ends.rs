//! The five ways of leaving a TLS connection, each with its own reason: measured for a server that reads,
//! one whose write is blocked, and one that does neither; for TLS 1.2 and 1.3; and for the three places
//! of the monitor.

#![cfg(unix)]

use crate::support::tls::{self, BROKEN_RECORDS, Setup};
use crate::support::{Pair, Peer, Tcp4, Unix, reason, soon};
use futures::future::join_all;
use hangup::{CloseReason, HalfClose, Monitor, MonitorConfig, MonitoredStream, Status, Transport};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::rustls::SupportedProtocolVersion;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::{TlsConnector, client, server};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

type Client = client::TlsStream<TcpStream>;

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// close_notify, then the FIN.
    Orderly,
    /// The FIN alone.
    Truncated,
    /// A fatal alert, then the FIN.
    Alert,
    /// A record that nobody can read, then the FIN.
    BadRecord,
    Reset,
}

use Leaves::{Alert, BadRecord, Orderly, Reset, Truncated};

const WAYS: [Leaves; 5] = [Orderly, Truncated, Alert, BadRecord, Reset];

impl Leaves {
    fn reason(self) -> CloseReason {
        match self {
            Orderly => CloseReason::PeerClosed,
            Truncated => CloseReason::Truncated,
            Alert => CloseReason::TlsAlert,
            BadRecord => CloseReason::Tls,
            Reset => CloseReason::Reset,
        }
    }

    /// What can be told of it without reading TLS.
    fn reason_of_the_socket(self) -> CloseReason {
        match self {
            Reset => CloseReason::Reset,
            _ => CloseReason::PeerClosed,
        }
    }
}

/// Has the client leave. Gives when its last word was sent, and what it keeps: with its receiving side open,
/// so that nothing is answered by a reset that was not asked for.
async fn leave(client: Client, way: Leaves) -> (Instant, Option<TcpStream>) {
    let (words, mut socket) = last_words(client, way);
    socket.write_all(&words).await.unwrap();
    if way == Reset {
        socket.set_zero_linger().unwrap();
        drop(socket);
        return (Instant::now(), None);
    }
    socket.shutdown().await.unwrap();
    (Instant::now(), Some(socket))
}

/// What a client says before it leaves, and its socket.
fn last_words<S>(mut client: client::TlsStream<S>, way: Leaves) -> (Vec<u8>, S) {
    match way {
        Orderly => client.get_mut().1.send_close_notify(),
        Alert => {
            // What rustls cannot read it answers with an alert.
            let session = client.get_mut().1;
            session.read_tls(&mut &*BROKEN_RECORDS[2]).unwrap();
            session.process_new_packets().unwrap_err();
        }
        Truncated | BadRecord | Reset => {}
    }
    let mut words = Vec::new();
    while client.get_ref().1.wants_write() {
        client.get_mut().1.write_tls(&mut words).unwrap();
    }
    if way == BadRecord {
        words.extend(BROKEN_RECORDS[0]);
    }
    (words, client.into_inner().0)
}

/// What the server does while the client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Reads,
    IsBlocked,
    IsIdle,
}

const SERVERS: [Server; 3] = [Server::Reads, Server::IsBlocked, Server::IsIdle];

/// Writes until a write has waited for a tenth of a second.
async fn block<S: AsyncWrite + Unpin>(stream: &mut S) {
    let wait = Duration::from_millis(100);
    while let Ok(written) = tokio::time::timeout(wait, stream.write(&[0; 65536])).await {
        written.unwrap();
    }
}

/// Where the monitor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Below and above: one stream, and TLS put above it by `layer`.
    Layered,
    /// `MonitoredStream<TlsStream<TcpStream>>`, with a FIN held.
    Above,
    /// `TlsStream<MonitoredStream<TcpStream>>`.
    Below,
}

const PLACES: [Place; 3] = [Place::Layered, Place::Above, Place::Below];

type Layered = MonitoredStream<server::TlsStream<Transport<TcpStream>>>;

/// A connection whose monitor was there before the handshake. A FIN is held for as long as it takes to find
/// out what it means.
async fn layered(version: &'static SupportedProtocolVersion) -> (Layered, Client) {
    let config = MonitorConfig::new().fin_delay(crate::support::DEADLINE);
    layered_with(version, &config).await
}

async fn layered_with(
    version: &'static SupportedProtocolVersion,
    config: &MonitorConfig,
) -> (Layered, Client) {
    let (ours, peer) = Tcp4::pair();
    let stream = MonitoredStream::with_config(ours, config).unwrap();
    let (connector, acceptor) = Setup::of(version).make();
    let accepting = stream.layer(|lower| acceptor.accept(lower));
    let (ours, peer) = soon("the handshake", async {
        tokio::join!(accepting, connect(connector, peer))
    })
    .await;
    (ours.unwrap(), peer)
}

async fn connect(connector: TlsConnector, peer: std::net::TcpStream) -> Client {
    peer.set_nonblocking(true).unwrap();
    let peer = TcpStream::from_std(peer).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, peer).await.unwrap()
}

async fn say(to: &mut (impl AsyncWrite + Unpin), from: &mut (impl AsyncRead + Unpin)) {
    soon("a write", to.write_all(b"hello")).await.unwrap();
    soon("a flush", to.flush()).await.unwrap();
    let mut heard = [0; 5];
    soon("a read", from.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"hello");
}

/// Has a client leave a server that does what it does. Gives what the server's monitor tells, and how long
/// after the client's last word.
async fn end<S>(
    mut ours: S,
    mut peer: Client,
    monitor: &Monitor,
    (place, way, server): (Place, Leaves, Server),
) -> (CloseReason, Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The tickets that follow a handshake are read too.
    say(&mut ours, &mut peer).await;
    say(&mut peer, &mut ours).await;
    if server == Server::IsBlocked {
        soon("a full connection", block(&mut ours)).await;
    }
    assert_eq!(monitor.probe(), Status::Open);
    let serving = tokio::spawn(async move {
        match server {
            Server::Reads => while !matches!(ours.read(&mut [0]).await, Ok(0) | Err(_)) {},
            Server::IsBlocked => while ours.write_all(&[0; 65536]).await.is_ok() {},
            Server::IsIdle => {}
        }
        ours
    });
    let told = tokio::spawn({
        let closed = monitor.closed();
        async move { (closed.await, Instant::now()) }
    });
    tokio::task::yield_now().await;
    let (left, kept) = leave(peer, way).await;
    let (told, when) = soon("the close", told).await.unwrap();
    assert_eq!(reason(monitor).await, told);
    // Below TLS the close_notify is unread input in front of the FIN, and a server that only writes does not
    // read it: its write waits for the reset, as that of a bare stream does.
    let kept = (place != Place::Below).then_some(kept);
    drop(soon("the server's end", serving).await.unwrap());
    // It is the first reason that stays.
    assert_eq!(monitor.close_reason().as_ref(), Some(&told));
    drop(kept);
    (told, when.saturating_duration_since(left))
}

async fn end_of(
    version: &'static SupportedProtocolVersion,
    place: Place,
    server: Server,
    way: Leaves,
) -> (CloseReason, Duration) {
    // Who reads or writes is not told by the end of the time.
    let within = match server {
        Server::IsIdle => Duration::from_millis(3),
        _ => crate::support::DEADLINE,
    };
    let config = MonitorConfig::new().fin_delay(within);
    if place == Place::Layered {
        let (stream, peer) = match server {
            // The usual time.
            Server::IsIdle => layered_with(version, &MonitorConfig::new()).await,
            _ => layered(version).await,
        };
        let monitor = stream.monitor();
        return end(stream, peer, &monitor, (place, way, server)).await;
    }
    let (ours, peer) = Tcp4::pair();
    if place == Place::Above {
        let (ours, peer) = tls::handshake(Setup::of(version), ours, peer).await;
        let stream = MonitoredStream::with_config(ours, &config).unwrap();
        let monitor = stream.monitor();
        return end(stream, peer, &monitor, (place, way, server)).await;
    }
    let stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    let (ours, peer) = tls::handshake(Setup::of(version), stream, peer).await;
    end(ours, peer, &monitor, (place, way, server)).await
}

/// Each waits for timers, so those of other servers run meanwhile.
#[tokio::test]
async fn each_way_has_its_reason() {
    let servers = VERSIONS
        .into_iter()
        .flat_map(|version| PLACES.map(|place| (version, place)))
        .flat_map(|(version, place)| SERVERS.map(|server| (version, place, server)));
    let told = join_all(servers.map(async |(version, place, server)| {
        let mut told = Vec::new();
        for way in WAYS {
            let expected = match (place, server) {
                (Place::Below, _) | (_, Server::IsIdle) => way.reason_of_the_socket(),
                _ => way.reason(),
            };
            let (reason, after) = end_of(version, place, server, way).await;
            assert_eq!(reason, expected, "{version:?} {place:?} {server:?} {way:?}");
            told.push(((place, server, way), reason, after));
        }
        told
    }))
    .await;
    for ((place, server, way), reason, after) in told.into_iter().flatten() {
        println!("{place:?} {server:?} {way:?}: {reason:?} after {after:?}");
    }
}

/// The client reads, says its last word, and closes with data on its way to it, which is answered by a reset:
/// the server's write finds a broken pipe before or after the watcher has heard the FIN.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_behind_the_last_word_changes_nothing() {
    for round in 0..200 {
        // An alert is not among them: the client is in the midst of a record, where rustls does not
        // find the fault.
        let way = [Orderly, Truncated, BadRecord][round % 3];
        let (mut stream, mut peer) = layered(VERSIONS[round % 2]).await;
        let monitor = stream.monitor();
        let writing = tokio::spawn(async move {
            loop {
                if let Err(error) = stream.write_all(&[0; 16384]).await {
                    return CloseReason::from(&error);
                }
            }
        });
        soon("input", peer.read_exact(&mut [0; 65536]))
            .await
            .unwrap();
        let (_, kept) = leave(peer, way).await;
        // A reset needs data that nobody will read.
        drop(kept);
        let told = reason(&monitor).await;
        let written = soon("the end of the writes", writing).await.unwrap();
        assert_eq!(written, told, "what the writer is told, round {round}");
        assert_eq!(told, way.reason(), "round {round}, {way:?}");
    }
}

/// What a peer has said before it left is read after the writer was told why it left (invariant 5).
#[tokio::test]
async fn a_blocked_writer_loses_no_input() {
    for version in VERSIONS {
        for way in WAYS {
            let (mut stream, mut peer) = layered(version).await;
            say(&mut stream, &mut peer).await;
            let words: Vec<u8> = (0..40_000_u32).map(|at| (at % 251) as u8).collect();
            soon("a full connection", block(&mut stream)).await;
            soon("the client's words", peer.write_all(&words))
                .await
                .unwrap();
            soon("a flush", peer.flush()).await.unwrap();
            let kept = leave(peer, way).await;
            let refused = soon("the end", async {
                loop {
                    let written = stream.write(&[0; 65536]);
                    match tokio::time::timeout(Duration::from_millis(10), written).await {
                        Ok(Err(error)) => break Some(error),
                        _ if stream.is_closed() => break None,
                        _ => {}
                    }
                }
            })
            .await;
            match refused {
                Some(error) => assert_eq!(CloseReason::from(&error), way.reason()),
                // The words are unread, and the client may still read (10).
                None => assert!(matches!(way, Orderly | Truncated), "{version:?} {way:?}"),
            }
            assert_eq!(stream.close_reason(), Some(way.reason()));
            let mut heard = Vec::new();
            let end = soon("the input", stream.read_to_end(&mut heard)).await;
            // rustls tells of an alert and of a bad record before it gives out what came with them.
            assert!(words.starts_with(&heard), "{version:?} {way:?}");
            if matches!(way, Orderly | Truncated) {
                assert_eq!(heard.len(), words.len(), "{version:?} {way:?}");
            }
            match end {
                // The write has had the socket's error.
                _ if way == Reset => {}
                Ok(_) => assert_eq!(way, Orderly),
                Err(error) => assert_eq!(CloseReason::from(&error), way.reason()),
            }
            let error = soon("a refusal", stream.write(&[0])).await.unwrap_err();
            assert_eq!(CloseReason::from(&error), way.reason());
            drop(kept);
        }
    }
}

/// More than a writer looks through: the FIN waits its time, and the reader gets all of it.
#[tokio::test]
async fn behind_too_much_input_there_is_only_a_fin() {
    let (mut stream, mut peer) = layered_with(&TLS13, &MonitorConfig::new()).await;
    say(&mut stream, &mut peer).await;
    soon("a full connection", block(&mut stream)).await;
    let words = vec![7; 100_000];
    soon("the client's words", peer.write_all(&words))
        .await
        .unwrap();
    soon("a flush", peer.flush()).await.unwrap();
    let monitor = stream.monitor();
    let (mut reads, mut writes) = tokio::io::split(stream);
    let writing = tokio::spawn(async move {
        loop {
            if let Err(error) = writes.write_all(&[0; 65536]).await {
                return CloseReason::from(&error);
            }
        }
    });
    let kept = leave(peer, Truncated).await;
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    let mut heard = Vec::new();
    let end = soon("the input", reads.read_to_end(&mut heard)).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(heard == words);
    // The write waited until the input was read, and is refused now.
    let written = soon("the refusal", writing).await.unwrap();
    assert_eq!(written, CloseReason::PeerClosed);
    drop(kept);
}

/// A half-close is not the end where it is allowed; an end without close_notify is.
#[tokio::test]
async fn half_closed_above_tls() {
    for way in [Orderly, Truncated] {
        let config = MonitorConfig::new()
            .half_close(HalfClose::Allow)
            .fin_delay(crate::support::DEADLINE);
        let (mut stream, peer) = layered_with(&TLS13, &config).await;
        let mut status = stream.monitor().subscribe();
        let (_, kept) = leave(peer, way).await;
        // Each write looks for the meaning of the FIN, once it was heard.
        soon("the peer's end", async {
            while *status.borrow_and_update() == Status::Open {
                let _ = stream.write_all(b"event").await;
                tokio::task::yield_now().await;
            }
        })
        .await;
        match way {
            Orderly => {
                assert_eq!(*status.borrow(), Status::PeerFinished);
                stream.write_all(b"more").await.unwrap();
                stream.shutdown().await.unwrap();
                assert_eq!(stream.close_reason(), Some(CloseReason::Finished));
            }
            _ => assert_eq!(stream.close_reason(), Some(CloseReason::Truncated)),
        }
        drop(kept);
    }
}

/// Whoever asks while the runtime is blocked is answered when the time is over, and not before.
#[tokio::test]
async fn a_probe_of_a_held_fin() {
    let within = Duration::from_millis(100);
    let (ours, peer) = Tcp4::pair();
    let config = MonitorConfig::new().fin_delay(within);
    let stream = MonitoredStream::with_config(ours, &config).unwrap();
    let monitor = stream.monitor();
    let began = Instant::now();
    peer.finish();
    let asking = std::thread::spawn(move || {
        while !monitor.probe().is_closed() {
            assert!(began.elapsed() < crate::support::DEADLINE);
            std::thread::yield_now();
        }
        began.elapsed()
    });
    // The only thread of the runtime is in here.
    assert!(asking.join().unwrap() >= within);
    assert_eq!(stream.close_reason(), Some(CloseReason::PeerClosed));

    // Zero is as without.
    let (ours, peer) = Tcp4::pair();
    let config = MonitorConfig::new().fin_delay(Duration::ZERO);
    let stream = MonitoredStream::with_config(ours, &config).unwrap();
    peer.finish();
    assert!(stream.monitor().probe().is_closed());
}

/// Our own shutdown comes first: the end is `Finished`, by whomever it is heard (invariant 8).
#[tokio::test]
async fn after_our_own_shutdown() {
    for server in [Server::Reads, Server::IsIdle] {
        let (mut stream, mut peer) = layered_with(&TLS13, &MonitorConfig::new()).await;
        say(&mut stream, &mut peer).await;
        let monitor = stream.monitor();
        soon("our shutdown", stream.shutdown()).await.unwrap();
        assert_eq!(soon("the end", peer.read(&mut [0])).await.unwrap(), 0);
        let kept = leave(peer, Orderly).await;
        if server == Server::Reads {
            assert_eq!(soon("the end", stream.read(&mut [0])).await.unwrap(), 0);
        }
        assert_eq!(reason(&monitor).await, CloseReason::Finished);
        drop(kept);
    }
}

/// A Unix peer that closes ends both directions at once. The watcher reported that before TLS was read, and writes were refused
/// at once: the alert that says why the peer has left was never read.
#[tokio::test]
async fn over_a_unix_socket() {
    for way in [Orderly, Truncated, Alert, BadRecord] {
        for writes in [false, true] {
            let (ours, peer) = Unix::pair();
            peer.set_nonblocking(true).unwrap();
            let peer = UnixStream::from_std(peer).unwrap();
            let config = MonitorConfig::new().fin_delay(crate::support::DEADLINE);
            let stream = MonitoredStream::with_config(ours, &config).unwrap();
            let (connector, acceptor) = Setup::of(&TLS13).make();
            let name = ServerName::try_from("localhost").unwrap();
            let (ours, peer) = soon("the handshake", async {
                tokio::join!(
                    stream.layer(|lower| acceptor.accept(lower)),
                    connector.connect(name, peer)
                )
            })
            .await;
            let (mut ours, mut peer) = (ours.unwrap(), peer.unwrap());
            say(&mut ours, &mut peer).await;
            say(&mut peer, &mut ours).await;
            let monitor = ours.monitor();
            if writes {
                soon("a full connection", block(&mut ours)).await;
            }
            let serving = tokio::spawn(async move {
                match writes {
                    false => while !matches!(ours.read(&mut [0]).await, Ok(0) | Err(_)) {},
                    true => while ours.write_all(&[0; 65536]).await.is_ok() {},
                }
            });
            tokio::task::yield_now().await;
            let (words, mut socket) = last_words(peer, way);
            socket.write_all(&words).await.unwrap();
            // With unread data the close would be a reset.
            while socket
                .try_read(&mut [0; 65536])
                .is_ok_and(|bytes| bytes > 0)
            {}
            drop(socket);
            let told = reason(&monitor).await;
            assert_eq!(told, way.reason(), "{way:?}, the server writes: {writes}");
            soon("the server's end", serving).await.unwrap();
        }
    }
}
