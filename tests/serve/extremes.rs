//! The smallest and the largest value of each setting: it is refused with words, or the server serves.

use crate::Running;
use crate::client::Client;
use crate::http2;
use crate::support::soon;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use hangup::MonitoredListener;
use hangup::serve::{Server, serve};
use std::io::ErrorKind;
use std::time::Duration;

type Setting = fn(Server<MonitoredListener, Router>) -> Server<MonitoredListener, Router>;

fn router() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/refuse", post(async || StatusCode::PAYLOAD_TOO_LARGE))
}

/// Zero would end every connection, and is an error that names the setting.
#[tokio::test]
async fn zero_is_refused() {
    let settings: [(&str, Setting); 8] = [
        ("head_timeout", |it| it.head_timeout(Duration::ZERO)),
        ("max_connections", |it| it.max_connections(0)),
        ("max_connections_per_address", |it| {
            it.max_connections_per_address(0)
        }),
        ("max_requests_per_connection", |it| {
            it.max_requests_per_connection(0)
        }),
        ("max_control_frames", |it| it.max_control_frames(0)),
        ("max_head_size", |it| it.max_head_size(0)),
        ("max_headers", |it| it.max_headers(0)),
        ("max_uri_length", |it| it.max_uri_length(0)),
    ];
    for (name, setting) in settings {
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let server = setting(serve(listener, router())).into_future();
        let error = soon(name, server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
}

/// The largest value means no limit.
#[tokio::test]
async fn the_largest_values_serve() {
    let settings: [(&str, Setting); 14] = [
        ("head_timeout", |it| it.head_timeout(Duration::MAX)),
        ("keep_alive_timeout", |it| {
            it.keep_alive_timeout(Duration::MAX)
        }),
        ("lingering_time", |it| it.lingering_time(Duration::MAX)),
        ("shutdown_timeout", |it| it.shutdown_timeout(Duration::MAX)),
        ("max_connections", |it| it.max_connections(usize::MAX)),
        ("max_connections_per_address", |it| {
            it.max_connections_per_address(usize::MAX)
        }),
        ("max_requests", |it| it.max_requests(usize::MAX)),
        ("max_requests_per_address", |it| {
            it.max_requests_per_address(usize::MAX)
        }),
        ("max_requests_per_connection", |it| {
            it.max_requests_per_connection(u32::MAX)
        }),
        ("max_control_frames", |it| it.max_control_frames(u32::MAX)),
        ("max_head_size", |it| it.max_head_size(usize::MAX)),
        ("max_headers", |it| it.max_headers(usize::MAX)),
        ("max_uri_length", |it| it.max_uri_length(usize::MAX)),
        ("buffer_size", |it| it.buffer_size(usize::MAX)),
    ];
    for (name, setting) in settings {
        for h2c in [false, true] {
            let server = Running::start(router(), |it| setting(it).h2c(h2c)).await;
            let mut client = Client::connect(server.address).await;
            for part in ["GET / HTTP/1.1\r\n", "Host: test\r\n", "\r\n"] {
                client.send(part).await;
                tokio::task::yield_now().await;
            }
            assert_eq!(client.response().await.unwrap().text(), "hello", "{name}");
            assert_eq!(
                client.get("/").await.text(),
                "hello",
                "{name}: a second one"
            );
            let mut upload = Client::connect(server.address).await;
            upload
                .send("POST /refuse HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n")
                .await;
            assert_eq!(upload.response().await.unwrap().status, 413, "{name}");
            upload.send("the body\n").await;
            drop(upload);
            if h2c {
                let (requests, _connection) = http2::connect(server.address, 1 << 16).await;
                let response = soon(name, http2::ask(&requests, "/")).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK, "{name}");
            }
            drop(client);
            server.stop().await;
        }
    }
}

/// More fields than a `HeaderMap` can hold are refused, whatever the limit.
#[tokio::test]
async fn more_fields_than_fit() {
    let server = Running::start(router(), |it| {
        it.max_headers(usize::MAX).max_head_size(usize::MAX)
    })
    .await;
    for (fields, status) in [(23_000, 200), (25_000, 431), (40_000, 431)] {
        let mut client = Client::connect(server.address).await;
        client.ask("/", &"a:b\r\n".repeat(fields)).await;
        assert_eq!(client.response().await.unwrap().status, status, "{fields}");
    }
}
