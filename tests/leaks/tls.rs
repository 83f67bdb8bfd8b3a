//! TLS: handshakes that are done, and those that are broken off.

use crate::Case;
use crate::loopback::Loopback;
use crate::support::soon;
use crate::support::tls::Setup;
use hangup::MonitoredListener;
use hangup::tls::{TlsListener, accept, connect};
use heapdelta::{LeakError, LeakTest, Report};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) const CASES: &[Case] = &[
    ("tls_handshake", tls_handshake),
    ("tls_listener", tls_listener),
    ("tls_handshake_that_is_cut", tls_handshake_that_is_cut),
    ("tls_left_after_connect", tls_left_after_connect),
    ("tls_left_after_client_hello", tls_left_after_client_hello),
    ("tls_left_before_finished", tls_left_before_finished),
    ("tls_left_after_finished", tls_left_after_finished),
    (
        "tls_handshake_that_is_dropped",
        tls_handshake_that_is_dropped,
    ),
    (
        "tls_handshake_that_never_ends",
        tls_handshake_that_never_ends,
    ),
];

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

struct Both {
    loopback: Loopback,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

/// Both sides, without the caches of sessions, which would grow for some hundreds of handshakes.
fn sides() -> (TlsConnector, TlsAcceptor) {
    let (connector, acceptor) = Setup::default().make();
    let mut client = ClientConfig::clone(connector.config());
    client.resumption = Resumption::disabled();
    let mut server = ServerConfig::clone(acceptor.config());
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    (Arc::new(client).into(), Arc::new(server).into())
}

async fn both() -> Both {
    let (connector, acceptor) = sides();
    Both {
        loopback: Loopback::new().await,
        connector,
        acceptor,
    }
}

/// Both sides monitored, done, and a few bytes.
fn tls_handshake(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.times(20).run_async_with(both, async |both| {
        let (ours, peer) = both.loopback.open().await;
        let peer = hangup::MonitoredStream::new(peer).unwrap();
        let (server, client) = soon("the handshake", async {
            tokio::join!(
                accept(&both.acceptor, ours),
                connect(&both.connector, localhost(), peer),
            )
        })
        .await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        client.write_all(b"hello").await.unwrap();
        client.flush().await.unwrap();
        server.read_exact(&mut [0; 5]).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    })
}

struct Listening {
    listener: TlsListener,
    connector: TlsConnector,
    address: SocketAddr,
}

async fn listening() -> Listening {
    let (connector, acceptor) = sides();
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let listener = TlsListener::new(listener, acceptor)
        .handshake_timeout(Duration::from_secs(60))
        .max_handshakes(8)
        .nodelay(true)
        .on_failed_handshake(|_| ());
    Listening {
        address: listener.local_addr().unwrap(),
        listener,
        connector,
    }
}

fn tls_listener(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let mut retrying = false;
    test.times(20).run_async_with(listening, async |listening| {
        assert!(listening.listener.get_ref().local_addr().is_ok());
        let client = async {
            let socket = TcpStream::connect(listening.address).await.unwrap();
            listening.connector.connect(localhost(), socket).await
        };
        retrying = !retrying;
        let server = async {
            match retrying {
                true => listening.listener.accept_retrying().await,
                false => {
                    let next = std::future::poll_fn(|cx| listening.listener.poll_accept(cx));
                    next.await.unwrap()
                }
            }
        };
        let (client, server) = soon("a handshake", async { tokio::join!(client, server) }).await;
        (client.unwrap(), server)
    })
}

/// The client leaves before its hello, and within it.
fn tls_handshake_that_is_cut(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let mut calls = 0;
    test.times(20).run_async_with(both, async |both| {
        let (ours, mut peer) = both.loopback.open().await;
        // The head of a record of 512 bytes, and the beginning of a ClientHello (RFC 8446, 4.1.2).
        let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
        calls += 1;
        let sent = [0, 3, hello.len()][calls % 3];
        peer.write_all(&hello[..sent]).await.unwrap();
        drop(peer);
        soon("the failure", accept(&both.acceptor, ours))
            .await
            .unwrap_err()
    })
}

/// How far a client comes before it leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The socket is open, and nothing was sent.
    Connected,
    /// The whole ClientHello was sent.
    Hello,
    /// The server's flight was read, and the Finished is made and not sent.
    Flight,
    /// The Finished was sent, and no data.
    Finished,
}

/// What the client has to send now.
fn to_send(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// A client that comes so far, and leaves.
async fn leave(mut client: ClientConnection, mut socket: TcpStream, until: Until) {
    if until == Until::Connected {
        return;
    }
    socket.write_all(&to_send(&mut client)).await.unwrap();
    if until == Until::Hello {
        return;
    }
    let mut flight = [0; 4096];
    while client.is_handshaking() {
        let count = socket.read(&mut flight).await.unwrap();
        assert_ne!(count, 0, "the server goes on");
        let mut read = &flight[..count];
        while !read.is_empty() {
            client.read_tls(&mut read).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    let finished = to_send(&mut client);
    assert!(!finished.is_empty());
    if until == Until::Finished {
        socket.write_all(&finished).await.unwrap();
    }
}

fn left(test: LeakTest<'_>, until: Until) -> Result<Report, LeakError> {
    test.times(20).run_async_with(both, async |both| {
        let (ours, peer) = both.loopback.open().await;
        let client = ClientConnection::new(both.connector.config().clone(), localhost()).unwrap();
        let (accepted, ()) = soon("the handshake", async {
            tokio::join!(
                Box::pin(accept(&both.acceptor, ours)),
                Box::pin(leave(client, peer, until))
            )
        })
        .await;
        assert_eq!(accepted.is_ok(), until == Until::Finished);
        if let Ok(mut stream) = accepted {
            // A FIN without a close_notify.
            soon("the end", stream.read(&mut [0])).await.unwrap_err();
        }
    })
}

fn tls_left_after_connect(test: LeakTest<'_>) -> Result<Report, LeakError> {
    left(test, Until::Connected)
}

fn tls_left_after_client_hello(test: LeakTest<'_>) -> Result<Report, LeakError> {
    left(test, Until::Hello)
}

fn tls_left_before_finished(test: LeakTest<'_>) -> Result<Report, LeakError> {
    left(test, Until::Flight)
}

fn tls_left_after_finished(test: LeakTest<'_>) -> Result<Report, LeakError> {
    left(test, Until::Finished)
}

/// Either side gives up in the middle.
fn tls_handshake_that_is_dropped(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.times(20).run_async_with(both, async |both| {
        let (ours, peer) = both.loopback.open().await;
        let monitor = ours.monitor();
        let mut server = Box::pin(accept(&both.acceptor, ours));
        let mut client = Box::pin(both.connector.connect(localhost(), peer));
        tokio::select! {
            biased;
            _ = &mut server => unreachable!("the client has not begun"),
            _ = &mut client => unreachable!("the server has not answered"),
            () = tokio::task::yield_now() => {}
        }
        drop(server);
        // Over, or an error: the server may have sent its part.
        let _ = client.await;
        soon("the end", monitor.closed()).await
    })
}

/// The listener's time-out ends it.
fn tls_handshake_that_never_ends(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let impatient = async || {
        let mut listening = listening().await;
        listening.listener = listening
            .listener
            .handshake_timeout(Duration::from_millis(5));
        listening
    };
    test.times(10)
        .warmup(5)
        .run_async_with(impatient, async |listening| {
            let mut client = TcpStream::connect(listening.address).await.unwrap();
            let ended = async { while client.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {} };
            tokio::select! {
                accepted = listening.listener.accept() => panic!("{accepted:?}"),
                () = soon("the time-out", ended) => {}
            }
            let _ = listening.listener.handshakes();
        })
}
