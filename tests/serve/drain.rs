//! The end of a server.

use crate::client::Client;
use crate::support::soon;
use crate::{Running, endless};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures::StreamExt;
use hangup::MonitoredListener;
use hangup::serve::LimitReason;
use std::convert::Infallible;
use std::future::IntoFuture;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};

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

/// A client in the middle of a head has a second for the rest of it, and gets its response. A client that sends no more
/// does not delay the shutdown until the head's own limit.
#[tokio::test]
async fn a_head_that_is_half_sent() {
    let router = Router::new().route("/hello", get(async || "hello"));
    let server = Running::start(router, |server| {
        server
            .head_timeout(Duration::from_secs(600))
            .shutdown_timeout(Duration::from_secs(600))
    })
    .await;
    let half = "GET /hello HTTP/1.1\r\nHost:";
    let mut slow = Vec::new();
    for answered in [false, true] {
        let mut client = Client::connect(server.address).await;
        if answered {
            assert_eq!(client.get("/hello").await.text(), "hello");
        }
        client.send(half).await;
        slow.push(client);
    }
    let mut quick = Client::connect(server.address).await;
    assert_eq!(quick.get("/hello").await.text(), "hello");
    quick.send(half).await;
    let mut idle = Client::connect(server.address).await;
    assert_eq!(idle.get("/hello").await.text(), "hello");
    let ended = server.draining();
    // The drain has begun.
    assert_eq!(idle.ended().await, b"");
    quick.send(" test\r\n\r\n").await;
    assert_eq!(quick.response().await.unwrap().text(), "hello");
    assert_eq!(quick.ended().await, b"");
    for client in slow {
        assert_eq!(client.ended().await, b"");
    }
    let summary = soon("the end", ended).await.unwrap().unwrap();
    assert_eq!((summary.finished(), summary.aborted()), (4, 0));
    assert_eq!(summary.limits(), []);
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

/// A response that ends with its connection looks complete to the client if that ends with a FIN.
///
/// The server is not a task of the runtime, as in a program's `main`: then its connections run beside it.
#[test]
fn what_is_aborted_does_not_look_complete() {
    let begun = || futures::stream::iter([Ok::<_, Infallible>("begun")]);
    let endless = move || Body::from_stream(begun().chain(futures::stream::pending()));
    let router = Router::new().route("/", get(async move || endless()));
    let runtime = Runtime::new().unwrap();
    let listener = runtime
        .block_on(MonitoredListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let clients = std::thread::spawn(move || {
        let clients: Vec<_> = std::iter::repeat_with(|| {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            client.read_exact(&mut [0]).unwrap();
            client
        })
        .take(40)
        .collect();
        stop.send(()).unwrap();
        clients
            .into_iter()
            .map(|mut client| client.read_to_end(&mut Vec::new()))
            .map(|end| end.map_err(|error| error.kind()))
            .collect::<Vec<_>>()
    });
    let server = hangup::serve::serve(listener, router)
        .shutdown_timeout(Duration::ZERO)
        .graceful_shutdown(async { drop(stopped.await) });
    assert_eq!(
        runtime.block_on(server.into_future()).unwrap().aborted(),
        40
    );
    let ends = clients.join().unwrap();
    assert_eq!(ends, [Err(ErrorKind::ConnectionReset); 40]);
}
