//! A Unix socket, and an upgraded connection, in a draining server.

use crate::Running;
use crate::client::Client;
use crate::files::Folder;
use crate::support::soon;
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::routing::get;
use hangup::serve::{Connection, serve};
use hangup::{Monitor, MonitoredListener};
use hyper_util::rt::TokioIo;
use std::future::IntoFuture;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// The same server, on a path: a handler has the monitor, and no address.
#[tokio::test]
async fn a_unix_socket() {
    let folder = Folder::new("unix");
    let path = folder.path.join("socket");
    let (told, mut tell) = mpsc::unbounded_channel();
    let router = Router::new().route(
        "/",
        get(async move |monitor: Monitor, request: Request| {
            let connection = request.extensions().get::<Connection>().unwrap();
            assert_eq!(connection.remote_addr(), None);
            // hyper drops the handler when its client leaves.
            tokio::spawn(async move { told.send(monitor.closed().await).unwrap() });
            std::future::pending::<()>().await;
        }),
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let server = serve(UnixListener::bind(&path).unwrap(), router)
        .graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());
    let mut client = UnixStream::connect(&path).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        .await
        .unwrap();
    drop(client);
    let reason = soon("the reason", tell.recv()).await.unwrap();
    assert_eq!(reason, hangup::CloseReason::PeerClosed);
    stop.send(()).unwrap();
    let summary = soon("the end", server).await.unwrap().unwrap();
    assert_eq!((summary.connections(), summary.aborted()), (1, 0));
}

/// An upgraded connection is one of the server's: a shutdown waits for it, and aborts it at the end of its time.
#[tokio::test]
async fn an_upgraded_connection() {
    let (told, mut tell) = mpsc::unbounded_channel();
    let router = Router::new().route(
        "/",
        get(async move |monitor: Monitor, mut request: Request| {
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
                let mut io = TokioIo::new(upgraded);
                let mut bytes = [0; 4];
                io.read_exact(&mut bytes).await.unwrap();
                io.write_all(&bytes).await.unwrap();
                told.send(monitor.closed().await).unwrap();
            });
            let fields = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
            (StatusCode::SWITCHING_PROTOCOLS, fields)
        }),
    );
    let server = Running::start(router, |server| {
        server
            .keep_alive_timeout(Duration::from_millis(50))
            .shutdown_timeout(Duration::from_millis(200))
    })
    .await;
    let mut client = Client::connect(server.address).await;
    client
        .ask("/", "Connection: upgrade\r\nUpgrade: echo\r\n")
        .await;
    let mut head = [0; 12];
    let read = client.stream.read_exact(&mut head);
    soon("the head", read).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    client.send("ping").await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"ping") {
        let read = client.stream.read_buf(&mut seen);
        assert!(soon("an echo", read).await.unwrap() > 0);
    }
    let summary = server.stop().await;
    assert_eq!((summary.finished(), summary.aborted()), (0, 1));
    let reason = soon("the reason", tell.recv()).await.unwrap();
    assert_eq!(reason, hangup::CloseReason::Aborted);
}

/// A descriptor that systemd or a parent has passed may be of another kind. The server waited for a connection without end.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn sockets_that_do_not_listen() {
    use std::os::fd::OwnedFd;
    let datagrams: OwnedFd = UdpSocket::bind("127.0.0.1:0").unwrap().into();
    let sender = TcpListener::bind("127.0.0.1:0").unwrap();
    let sender: OwnedFd = TcpStream::connect(sender.local_addr().unwrap())
        .unwrap()
        .into();
    for socket in [datagrams, sender] {
        let socket = TcpListener::from(socket);
        socket.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(socket).unwrap();
        let server = serve(MonitoredListener::from_listener(listener), Router::new());
        let error = soon("the error", server.into_future()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let socket = std::os::unix::net::UnixListener::from(OwnedFd::from(socket));
    socket.set_nonblocking(true).unwrap();
    let server = serve(UnixListener::from_std(socket).unwrap(), Router::new());
    let error = soon("the error", server.into_future()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

/// Another process may shut the listener down, of which it has a duplicate. Each failed accept closed an idle connection, as if
/// descriptors had run out.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_listener_that_another_process_shuts_down() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let duplicate = socket.try_clone().unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(socket).unwrap();
    let (failed, mut failures) = mpsc::unbounded_channel();
    let listener = MonitoredListener::from_listener(listener)
        .on_accept_error(move |error| failed.send(error.kind()).unwrap());
    let router = Router::new().route("/", get(async || "hello"));
    let server = tokio::spawn(serve(listener, router).into_future());
    let mut client = Client::connect(address).await;
    assert_eq!(client.get("/").await.status, 200);
    rustix::net::shutdown(&duplicate, rustix::net::Shutdown::Both).unwrap();
    let kind = soon("the failed accept", failures.recv()).await;
    assert_eq!(kind, Some(ErrorKind::InvalidInput));
    assert_eq!(client.get("/").await.status, 200);
    server.abort();
}
