//! The end of a server.

use crate::client::Client;
use crate::support::soon;
use crate::{Running, endless};
use axum::Router;
use axum::routing::get;
use hangup::serve::LimitReason;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Idle connections end at once, running requests are finished, and no new connection is taken.
#[tokio::test]
async fn idle_ones_end_and_running_ones_finish() {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handler_begun, handler_finish) = (begun.clone(), finish.clone());
    let router = Router::new().route("/hello", get(async || "hello")).route(
        "/slow",
        get(async move || {
            handler_begun.notify_one();
            handler_finish.notified().await;
            "finished"
        }),
    );
    let server = Running::start(router, |server| server).await;
    let address = server.address;
    let mut idle = Client::connect(address).await;
    assert_eq!(idle.get("/hello").await.text(), "hello");
    let silent = Client::connect(address).await;
    let mut running = Client::connect(address).await;
    running.ask("/slow", "").await;
    soon("the request", begun.notified()).await;
    let ended = server.draining();
    assert_eq!(idle.ended().await, b"");
    assert_eq!(silent.ended().await, b"");
    soon("the end of the listener", async {
        while TcpStream::connect(address).await.is_ok() {}
    })
    .await;
    finish.notify_one();
    assert_eq!(running.response().await.unwrap().text(), "finished");
    running.ended().await;
    let summary = soon("the end", ended).await.unwrap().unwrap();
    assert_eq!((summary.finished(), summary.aborted()), (3, 0));
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_aborted() {
    let router = Router::new().route("/", get(async || endless()));
    let mut server = Running::start(router, |server| {
        server.shutdown_timeout(Duration::from_millis(200))
    })
    .await;
    let mut client = Client::connect(server.address).await;
    client.ask("/", "").await;
    soon("a response", client.stream.read_exact(&mut [0]))
        .await
        .unwrap();
    let mut limits =
        std::mem::replace(&mut server.limits, tokio::sync::mpsc::unbounded_channel().1);
    let summary = server.stop().await;
    assert_eq!((summary.finished(), summary.aborted()), (0, 1));
    assert_eq!(limits.recv().await.unwrap().reason, LimitReason::Shutdown);
    assert_eq!(
        summary.to_string(),
        "1 connections served; at the shutdown 0 finished, 1 aborted; shutdown: 1"
    );
}
