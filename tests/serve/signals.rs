//! SIGINT and SIGTERM: the first drains, the second ends at once.

use crate::client::Client;
use crate::support::alone;
use crate::support::soon;
use crate::{Running, endless};
use axum::Router;
use axum::routing::get;
use nix::sys::signal::{Signal, raise};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A server that signals end, with a request under way.
async fn busy(router: Router) -> (Running, Client) {
    // No test waits for this.
    let timeout = Duration::from_secs(3600);
    let server = Running::start(router, |server| {
        server.shutdown_on_signals().shutdown_timeout(timeout)
    })
    .await;
    let mut client = Client::connect(server.address).await;
    client.ask("/", "").await;
    (server, client)
}

async fn listens_no_more(server: &Running) {
    let address = server.address;
    soon("the end of the listener", async {
        while TcpStream::connect(address).await.is_ok() {}
    })
    .await;
}

#[tokio::test]
async fn a_running_request_finishes() {
    if !alone("signals::a_running_request_finishes") {
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (handler_begun, handler_finish) = (begun.clone(), finish.clone());
        let slow = get(async move || {
            handler_begun.notify_one();
            handler_finish.notified().await;
            "finished"
        });
        let (server, mut client) = busy(Router::new().route("/", slow)).await;
        soon("the request", begun.notified()).await;
        raise(signal).unwrap();
        listens_no_more(&server).await;
        finish.notify_one();
        assert_eq!(client.response().await.unwrap().text(), "finished");
        let summary = server.ended().await;
        assert_eq!(summary.aborted(), 0, "{signal}");
    }
}

#[tokio::test]
async fn the_second_ends_at_once() {
    if !alone("signals::the_second_ends_at_once") {
        return;
    }
    let router = Router::new().route("/", get(async || endless()));
    let (server, _client) = busy(router).await;
    raise(Signal::SIGTERM).unwrap();
    listens_no_more(&server).await;
    raise(Signal::SIGTERM).unwrap();
    let summary = server.ended().await;
    assert_eq!(summary.aborted(), 1);
}
