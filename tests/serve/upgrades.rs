//! Connections that speak another protocol than HTTP after an upgrade.

use crate::Running;
use crate::client::Client;
use crate::http2::{ask, connect};
use crate::support::soon;
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use hangup::serve::LimitReason;
use hyper_util::rt::TokioIo;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Echoes what comes after the upgrade.
async fn echo(mut request: Request) -> (StatusCode, [(header::HeaderName, &'static str); 2]) {
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    let fields = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
    (StatusCode::SWITCHING_PROTOCOLS, fields)
}

/// Echoes what comes through the tunnel of a CONNECT.
async fn echo_tunnel(request: Request) -> StatusCode {
    let _ = echo(request).await;
    StatusCode::OK
}

fn router() -> Router {
    let hello = get(async || "hello");
    Router::new().route("/", hello).route("/echo", get(echo))
}

async fn upgraded(server: &Running) -> Client {
    let mut client = Client::connect(server.address).await;
    client
        .ask("/echo", "Connection: upgrade\r\nUpgrade: echo\r\n")
        .await;
    let head = soon("the head", async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.stream.read_u8().await.unwrap());
        }
        head
    });
    assert!(head.await.starts_with(b"HTTP/1.1 101"));
    client
}

async fn echoes(client: &mut Client) -> bool {
    let mut answer = [0; 4];
    client.stream.write_all(b"ping").await.is_ok()
        && soon("the echo", client.stream.read_exact(&mut answer))
            .await
            .is_ok()
}

/// They had no request, so they made room for new connections: they left the count, and stayed open.
#[tokio::test]
async fn they_count_as_long_as_they_are_open() {
    let mut server = Running::start(router(), |server| {
        server
            .max_connections(2)
            .shutdown_timeout(Duration::from_millis(100))
    })
    .await;
    let (mut first, mut second) = (upgraded(&server).await, upgraded(&server).await);
    for _ in 0..3 {
        let mut third = Client::connect(server.address).await;
        assert_eq!(third.get_if_admitted().await, None);
        assert_eq!(server.limit().await, LimitReason::Connections);
    }
    assert!(echoes(&mut first).await && echoes(&mut second).await);
    drop(first);
    let mut next = Client::connect(server.address).await;
    while next.get_if_admitted().await.is_none() {
        next = Client::connect(server.address).await;
    }
    // Its time at the shutdown is over: it is aborted, and counted.
    drop(next);
    let address = server.address;
    let summary = server.stop().await;
    assert_eq!(summary.aborted(), 1, "{summary}");
    let error = soon("the end", second.stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// The tunnel of a CONNECT on HTTP/2 is in use until it ends. Its connection was taken for an idle one, and closed five seconds
/// after its `keep_alive_timeout`.
#[tokio::test]
async fn a_tunnel_on_http2() {
    let short = Duration::from_millis(300);
    let mut server = Running::start(Router::new().fallback(echo_tunnel), |server| {
        server
            .h2c(true)
            .keep_alive_timeout(short)
            .max_requests(1)
            .shutdown_timeout(short)
    })
    .await;
    let (requests, connection) = connect(server.address, 65_535).await;
    let (mut reader, mut writer) = tunnel(&requests).await;
    // It counts as the one request that there may be, and its connection is not idle: this other one is.
    let (others, other) = connect(server.address, 65_535).await;
    assert_eq!(ask(&others, "/").await.unwrap().status(), 503);
    assert_eq!(server.limit().await, LimitReason::Requests);
    assert_eq!(server.limit().await, LimitReason::KeepAliveTimeout);
    soon("the end of the other connection", other)
        .await
        .unwrap();
    // By now the server would have closed it.
    let waiting = tokio::time::timeout(Duration::from_secs(6), server.limits.recv());
    assert!(waiting.await.is_err(), "no limit acts on it");
    for _ in 0..2 {
        writer
            .send_data(Bytes::from_static(b"ping"), false)
            .unwrap();
        let echo = soon("the echo", reader.data()).await.unwrap();
        assert_eq!(echo.unwrap(), "ping");
    }
    // When it has ended, its connection is idle.
    writer.send_data(Bytes::new(), true).unwrap();
    let end = soon("the end of the tunnel", reader.data()).await;
    assert!(end.is_none_or(|end| end.unwrap().is_empty()));
    assert_eq!(server.limit().await, LimitReason::KeepAliveTimeout);
    soon("the end of the connection", connection).await.unwrap();

    // A shutdown waits for one, and aborts it at its end.
    let (requests, _connection) = connect(server.address, 65_535).await;
    let _tunnel = tunnel(&requests).await;
    assert_eq!(server.stop().await.aborted(), 1);
}

/// A tunnel by a CONNECT on HTTP/2.
async fn tunnel(requests: &SendRequest<Bytes>) -> (RecvStream, SendStream<Bytes>) {
    let request = http::Request::connect("example.com:443");
    let mut ready = requests.clone().ready().await.unwrap();
    let sent = ready.send_request(request.body(()).unwrap(), false);
    let (response, writer) = sent.unwrap();
    let response = soon("the response", response).await.unwrap();
    assert_eq!(response.status(), 200);
    (response.into_body(), writer)
}
