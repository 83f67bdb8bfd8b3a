//! TLS: the version is agreed on, and handshakes are bounded in time and number.

use crate::client::Client;
use crate::http2::ask;
use crate::records;
use crate::support::soon;
use crate::support::tls::{Setup, connect};
use axum::Router;
use axum::routing::{get, post};
use hangup::serve::{LimitReason, serve};
use hangup::tls::TlsListener;
use hangup::{CloseReason, MonitoredListener};
use std::future::IntoFuture;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConnection;
use tokio_rustls::rustls::pki_types::ServerName;

/// A TLS listener on a free port of the loopback, its address, and a connector for its clients.
pub(crate) async fn listener(setup: Setup) -> (TlsListener, SocketAddr, TlsConnector) {
    let (connector, acceptor) = setup.make();
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (TlsListener::new(listener, acceptor), address, connector)
}

/// A request over a TLS connection of its own.
pub(crate) async fn get_over_tls(connector: &TlsConnector, address: SocketAddr) -> String {
    let mut stream = connect(connector, address).await;
    let request = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    let read = stream.read_to_string(&mut response);
    soon("the response", read).await.unwrap();
    response
}

/// Over TLS the version is agreed on, and the server offers what it speaks. A program's own list may name HTTP/2, which a server
/// of `http1_only` agreed to, and then answered with HTTP/1.1.
#[tokio::test]
async fn versions_over_tls() {
    let both = || vec!["h2", "http/1.1"];
    for (http1_only, own, offered, agreed) in [
        (false, vec![], both(), Some("h2")),
        (false, vec![], vec!["http/1.1"], Some("http/1.1")),
        (false, vec![], vec![], None),
        (false, both(), both(), Some("h2")),
        (true, vec![], both(), Some("http/1.1")),
        (true, both(), both(), Some("http/1.1")),
        (true, vec!["h2"], both(), Some("http/1.1")),
    ] {
        let names = |names: Vec<&str>| names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let setup = Setup {
            client_protocols: names(offered),
            server_protocols: names(own),
            ..Setup::default()
        };
        let (listener, address, connector) = listener(setup).await;
        let router = Router::new().route("/", get(async || "hello"));
        let server = serve(listener, router);
        let server = if http1_only {
            server.http1_only()
        } else {
            server
        };
        let server = tokio::spawn(server.into_future());
        let stream = connect(&connector, address).await;
        let alpn = stream.get_ref().1.alpn_protocol().map(|name| name.to_vec());
        assert_eq!(alpn.as_deref(), agreed.map(str::as_bytes));
        if agreed == Some("h2") {
            let (requests, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = tokio::spawn(connection);
            assert_eq!(ask(&requests, "/").await.unwrap().status(), 200);
            connection.abort();
        } else {
            let mut stream = stream;
            let request = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut response = String::new();
            soon("the response", stream.read_to_string(&mut response))
                .await
                .unwrap();
            assert!(response.ends_with("hello"), "{response}");
        }
        server.abort();
    }
}

/// A client that says nothing instead of its part of the handshake.
#[tokio::test]
async fn a_silent_handshake() {
    let (listener, address, _) = listener(Setup::default()).await;
    let listener = listener.handshake_timeout(Duration::from_millis(300));
    let (limits, mut limit) = unbounded_channel();
    let server = serve(listener, Router::new()).on_limit(move |event| {
        let _ = limits.send(event.reason);
    });
    let server = tokio::spawn(server.into_future());
    let client = Client::connect(address).await;
    assert_eq!(
        soon("the limit", limit.recv()).await,
        Some(LimitReason::Handshake)
    );
    assert_eq!(client.ended().await, b"");
    server.abort();
}

/// At the limit the oldest handshake makes room: clients that are silent keep nobody out. The program is told.
#[tokio::test]
async fn silent_handshakes_make_room() {
    let (listener, address, connector) = listener(Setup::default()).await;
    let (failures, mut failed) = unbounded_channel();
    let listener = listener
        .handshake_timeout(Duration::from_secs(3600))
        .max_handshakes(2)
        .on_failed_handshake(move |handshake| drop(failures.send(handshake)));
    let router = Router::new().route("/", get(async || "hello"));
    let server = tokio::spawn(serve(listener, router).into_future());
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(Client::connect(address).await);
    }
    let response = soon("an answer", get_over_tls(&connector, address)).await;
    assert!(response.ends_with("hello"), "{response}");
    // Five are silent, and two places are left, one of which the last client took.
    for client in &silent[..4] {
        let failure = soon("a failed handshake", failed.recv()).await.unwrap();
        assert_eq!(failure.peer, client.stream.local_addr().unwrap());
        assert_eq!(failure.reason, CloseReason::Aborted);
    }
    assert!(failed.try_recv().is_err(), "the fifth goes on");
    server.abort();
}

/// A failed handshake is told once, with the error and the reason.
#[tokio::test]
async fn a_failed_handshake_is_told() {
    let (listener, address, _) = listener(Setup::default()).await;
    let (failures, mut failed) = unbounded_channel();
    let listener = listener.on_failed_handshake(move |handshake| drop(failures.send(handshake)));
    let server = tokio::spawn(serve(listener, Router::new()).into_future());
    let mut plain = Client::connect(address).await;
    plain.ask("/", "").await;
    let failure = soon("a failed handshake", failed.recv()).await.unwrap();
    assert_eq!(failure.peer, plain.stream.local_addr().unwrap());
    assert_eq!(failure.error.kind(), std::io::ErrorKind::InvalidData);
    server.abort();
}

/// rustls allows 32 empty records after each other, and 32 key updates, and begins to count anew when one follows the other. So a
/// client could keep a processor busy with records that carry nothing, and a connection with a request has no time limit.
#[tokio::test]
async fn records_without_data() {
    let (listener, address, connector) = listener(Setup::default()).await;
    let (report, mut limits) = unbounded_channel();
    let (heard, mut hears) = unbounded_channel();
    let upload = async move |body: String| drop(heard.send(body));
    let router = Router::new().route("/", post(upload));
    let server = serve(listener, router).on_limit(move |event| {
        let _ = report.send(event.reason);
    });
    let server = tokio::spawn(server.into_future());

    // What an honest client may send between its data.
    let (mut stream, mut records) = records::client(&connector, address).await;
    let head = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\n";
    let mut sent = records.data(head);
    for byte in [b"a", b"b", b"c"] {
        for _ in 0..30 {
            sent.extend(records.data(b""));
        }
        for _ in 0..30 {
            sent.extend(records.key_update());
        }
        sent.extend(records.data(byte));
    }
    stream.write_all(&sent).await.unwrap();
    let body = soon("the body", hears.recv()).await;
    assert_eq!(body.as_deref(), Some("abc"));

    let (stream, mut records) = records::client(&connector, address).await;
    let (mut reader, mut writer) = stream.into_split();
    let mut flood = records.data(head);
    while flood.len() < 2 << 20 {
        for _ in 0..30 {
            flood.extend(records.data(b""));
        }
        flood.extend(records.key_update());
    }
    let sent = tokio::spawn(async move {
        let _ = writer.write_all(&flood).await;
        writer
    });
    let limit = soon("the limit", limits.recv()).await;
    assert_eq!(limit, Some(LimitReason::ControlFrames));
    let ended = async { while reader.read_u8().await.is_ok() {} };
    soon("the end of the connection", ended).await;
    sent.await.unwrap();
    server.abort();
}

/// A client that was connecting when the shutdown began has a second for the rest of its handshake, and gets its response. The
/// connection was closed, so each restart of a busy server cost some clients their first request.
#[tokio::test]
async fn a_handshake_when_the_server_shuts_down() {
    for silent in [false, true] {
        let (listener, address, connector) = listener(Setup::default()).await;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let router = Router::new().route("/", get(async || "hello"));
        let server = serve(listener.handshake_timeout(Duration::from_secs(600)), router)
            .shutdown_timeout(Duration::from_secs(600))
            .graceful_shutdown(async { drop(stopped.await) });
        let server = tokio::spawn(server.into_future());
        let config = connector.config().clone();
        let name = ServerName::try_from("localhost").unwrap();
        let mut session = ClientConnection::new(config, name).unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut hello = Vec::new();
        session.write_tls(&mut hello).unwrap();
        stream.write_all(&hello).await.unwrap();
        while session.is_handshaking() {
            let mut flight = [0; 4096];
            let read = soon("the server's part", stream.read(&mut flight)).await;
            session.read_tls(&mut &flight[..read.unwrap()]).unwrap();
            session.process_new_packets().unwrap();
        }
        stop.send(()).unwrap();
        soon("the end of the listener", async {
            while TcpStream::connect(address).await.is_ok() {}
        })
        .await;
        if !silent {
            let mut finished = Vec::new();
            session.write_tls(&mut finished).unwrap();
            stream.write_all(&finished).await.unwrap();
            // The server has its part, and not the request yet.
            let mut tickets = [0; 4096];
            let read = soon("the tickets", stream.read(&mut tickets)).await;
            session.read_tls(&mut &tickets[..read.unwrap()]).unwrap();
            session.process_new_packets().unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
            session.writer().write_all(request).unwrap();
            let mut request = Vec::new();
            session.write_tls(&mut request).unwrap();
            stream.write_all(&request).await.unwrap();
        }
        let mut rest = Vec::new();
        soon("the end", stream.read_to_end(&mut rest))
            .await
            .unwrap();
        let mut response = String::new();
        if !silent {
            let mut rest = &rest[..];
            while session.read_tls(&mut rest).unwrap() > 0 {
                session.process_new_packets().unwrap();
            }
            session.reader().read_to_string(&mut response).unwrap();
        }
        assert_eq!(response.ends_with("hello"), !silent, "{response}");
        let summary = soon("the end of the server", server).await;
        assert_eq!(summary.unwrap().unwrap().finished(), 1);
    }
}
