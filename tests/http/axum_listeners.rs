//! axum over other listeners than ours: each gives a monitor and an address; and the connections of a listener, ended.

use crate::support::{Peer as _, Tcp4, soon, watched};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::middleware::from_fn;
use axum::routing::get;
use axum::serve::Listener;
use hangup::axum::{Monitored, MonitoredAccept, Peer, into_make_service};
use hangup::{CloseReason, Connections, Monitor, MonitoredListener, MonitoredStream};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tower::ServiceExt;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// A handler that never answers, and passes its monitor on.
fn router() -> (Router, UnboundedReceiver<Monitor>) {
    let (sender, given) = unbounded_channel();
    let never = async move |monitor: Monitor| {
        sender.send(monitor).unwrap();
        std::future::pending::<()>().await
    };
    (Router::new().route("/", get(never)), given)
}

type UnixPeer = Peer<tokio::net::unix::SocketAddr>;

/// `UnixListener` gave E0277.
#[tokio::test]
async fn a_unix_socket_has_monitors_and_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("axum.sock");
    let (sender, mut given) = unbounded_channel();
    let router = Router::new().route(
        "/",
        get(async move |peer: UnixPeer, monitor: Monitor| {
            sender.send((peer, monitor)).unwrap();
            std::future::pending::<()>().await
        }),
    );
    let listener = Monitored::new(UnixListener::bind(&path).unwrap());
    let service = router.into_make_service_with_connect_info::<UnixPeer>();
    tokio::spawn(axum::serve(listener, service).into_future());
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    let (peer, monitor) = soon("the request", given.recv()).await.unwrap();
    assert!(peer.address.is_unnamed());
    drop(client);
    assert_eq!(
        soon("the close", monitor.closed()).await,
        CloseReason::PeerClosed
    );
    assert_eq!(
        soon("the close", peer.monitor.closed()).await,
        CloseReason::PeerClosed
    );
}

/// `ConnectInfo<SocketAddr>` beside a `Monitor` was a 500.
#[tokio::test]
async fn a_handler_takes_the_monitor_and_axums_address() {
    let (sender, mut given) = unbounded_channel();
    let router = Router::new().route(
        "/",
        get(
            async move |monitor: Monitor,
                        ConnectInfo(address): ConnectInfo<SocketAddr>,
                        peer: Peer| {
                sender.send((monitor, address, peer)).unwrap();
                std::future::pending::<()>().await
            },
        ),
    );
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, into_make_service(router)).into_future());
    let mut client = TcpStream::connect(at).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    let (monitor, address, peer) = soon("the request", given.recv()).await.unwrap();
    assert_eq!(address, client.local_addr().unwrap());
    assert_eq!(peer.address, address);
    drop(client);
    assert_eq!(
        soon("the close", monitor.closed()).await,
        CloseReason::PeerClosed
    );
}

struct OfAProgram(MonitoredListener);

impl Listener for OfAProgram {
    type Io = MonitoredStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        self.0.accept_retrying().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl MonitoredAccept for OfAProgram {
    fn monitor(stream: &Self::Io) -> Monitor {
        stream.monitor()
    }
}

#[tokio::test]
async fn a_listener_of_a_program_gives_monitors() {
    let (router, mut given) = router();
    let listener = OfAProgram(MonitoredListener::bind("127.0.0.1:0").await.unwrap());
    let at = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<Monitor>();
    tokio::spawn(axum::serve(listener, service).into_future());
    let mut client = TcpStream::connect(at).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    let monitor = soon("the request", given.recv()).await.unwrap();
    drop(client);
    assert_eq!(
        soon("the close", monitor.closed()).await,
        CloseReason::PeerClosed
    );
}

/// A graceful shutdown waited for ever for a handler that never answers.
#[tokio::test]
async fn a_graceful_shutdown_ends_open_requests() {
    for abort in [false, true] {
        let (router, mut given) = router();
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let connections = listener.connections();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = axum::serve(listener, into_make_service(router))
            .with_graceful_shutdown(async { stopped.await.unwrap() })
            .into_future();
        let serving = tokio::spawn(serving);
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = TcpStream::connect(at).await.unwrap();
            client.write_all(REQUEST).await.unwrap();
            soon("the request", given.recv()).await.unwrap();
            clients.push(client);
        }
        assert_eq!(connections.len(), 3);
        drop(clients.pop());
        stop.send(()).unwrap();
        // In time for the one that left, and not for the other two.
        let left = connections.drain(Duration::from_millis(200)).await.unwrap();
        assert_eq!(left, 2);
        assert!(!serving.is_finished());
        if abort {
            connections.abort_all();
        } else {
            connections.close_all();
        }
        soon("the server", serving).await.unwrap().unwrap();
        assert!(connections.is_empty());
        for mut client in clients {
            let read = soon("the end", client.read(&mut [0])).await;
            assert_eq!(read.is_err(), abort, "{read:?}");
        }
    }
}

/// What was written before arrives, a blocked reader and a blocked writer are woken, and the reason is ours (8).
#[tokio::test]
async fn close_all_delivers_and_wakes() {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let connections = listener.connections();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let monitor = stream.monitor();
    let (mut reader, mut writer) = stream.into_split();
    let reads = tokio::spawn(async move { reader.read(&mut [0]).await });
    let writes = tokio::spawn(async move {
        loop {
            if let Err(error) = writer.write_all(&[b'x'; 65536]).await {
                return error;
            }
        }
    });
    let mut taken = 0;
    while taken == 0 || monitor.accepted() != taken {
        taken = monitor.accepted();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    connections.close_all();
    assert_eq!(soon("the reader", reads).await.unwrap().unwrap(), 0);
    let error = soon("the writer", writes).await.unwrap();
    assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Aborted));
    let mut received = Vec::new();
    soon("the rest", client.read_to_end(&mut received))
        .await
        .unwrap();
    assert_eq!(received.len() as u64, monitor.accepted());
}

/// What is left of closed connections is bounded by those that are open.
#[test]
fn closed_connections_are_forgotten() {
    let connections = Connections::new();
    let open: Vec<_> = (0..10)
        .map(|_| MonitoredStream::unwatched(tokio::io::empty()))
        .collect();
    open.iter()
        .for_each(|stream| connections.add(&stream.monitor()));
    for _ in 0..1000 {
        let stream = MonitoredStream::unwatched(tokio::io::empty());
        connections.add(&stream.monitor());
        drop(stream);
    }
    assert_eq!(connections.len(), 10);
    drop(open);
    assert!(connections.is_empty());
}

/// Each close made `drain` look at all connections again: fifty thousand of them took a minute.
#[tokio::test]
async fn many_connections_drain_in_linear_time() {
    let connections = Connections::new();
    let mut streams = Vec::new();
    for _ in 0..50_000 {
        let stream = MonitoredStream::unwatched(tokio::io::empty());
        connections.add(&stream.monitor());
        streams.push(stream);
    }
    let drained = async { connections.drain(Duration::MAX).await.unwrap() };
    let close = async {
        // The last one first, as the drain waits for them.
        while streams.pop().is_some() {
            tokio::task::yield_now().await;
        }
    };
    let (left, ()) = soon("the closes", async { tokio::join!(drained, close) }).await;
    assert_eq!(left, 0);
}

/// A program that serves the router by hyper itself has no connect info. It puts the monitor into the extensions, where
/// `CancelLayer` found it and the extractors did not.
#[tokio::test]
async fn a_router_below_hyper_takes_the_monitor_of_the_extensions() {
    let (router, mut given) = router();
    let router = router.layer(from_fn(hangup::axum::follow));
    let (stream, mut client) = watched::<Tcp4>();
    let monitor = stream.monitor();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(monitor.clone());
        router.clone().oneshot(request)
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    client.write_all(REQUEST).unwrap();
    let monitor = soon("the request", given.recv()).await.unwrap();
    client.finish();
    assert_eq!(
        soon("the close", monitor.closed()).await,
        CloseReason::PeerClosed
    );
}
