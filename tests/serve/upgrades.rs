//! Connections that speak another protocol than HTTP after an upgrade.

use crate::Running;
use crate::client::Client;
use crate::support::soon;
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::routing::get;
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
