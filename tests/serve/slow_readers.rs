//! A response counts until it is sent. hyper drops a body as soon as it has its last part, which may be all of it.

use crate::Running;
use crate::client::{Client, Response};
use crate::files::{Folder, numbered};
use crate::support::soon;
use crate::support::tls::{Setup, connect};
use crate::tls;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use hangup::serve::{LimitReason, ServeFolder, serve};
use std::future::IntoFuture;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SHORT: Duration = Duration::from_millis(300);

/// More than the kernel takes of what nobody reads.
const LARGE: usize = 32 << 20;

/// A large body in one piece.
fn large() -> Router {
    let body = Bytes::from(numbered(LARGE));
    Router::new()
        .route("/large", get(async move || body.clone()))
        .route("/", get(async || "hello"))
}

/// A client that has asked for the large body, and has the first byte of its response.
async fn slow_reader(server: &Running, path: &str) -> Client {
    let mut client = Client::with_small_buffer(server.address).await;
    client.ask(path, "").await;
    soon("the response", client.stream.readable())
        .await
        .unwrap();
    client
}

fn assert_complete(response: Result<Response, Response>) {
    let length = response.as_ref().map(|response| response.body.len());
    let length = length.map_err(|response| response.body.len());
    assert_eq!(length, Ok(LARGE), "the connection broke");
    assert!(response.unwrap().body == numbered(LARGE));
}

/// The server took the connection for an idle one, and closed it when the time for those was over.
#[tokio::test]
async fn the_keep_alive_timeout_begins_behind_the_response() {
    let folder = Folder::new("slow-reader");
    folder.write("file", numbered(LARGE));
    let router = large().fallback_service(ServeFolder::open(&folder.path).unwrap());
    let mut server = Running::start(router, |server| server.keep_alive_timeout(SHORT)).await;
    for path in ["/large", "/file"] {
        let mut client = slow_reader(&server, path).await;
        tokio::time::sleep(3 * SHORT).await;
        assert_complete(client.response().await);
        assert_eq!(server.limit().await, LimitReason::KeepAliveTimeout);
        assert_eq!(client.ended().await, b"", "it is idle now");
    }
}

/// Over TLS the library takes the bytes before the socket does.
#[tokio::test]
async fn the_same_over_tls() {
    let (listener, address, connector) = tls::listener(Setup::default()).await;
    let server = serve(listener, large())
        .http1_only()
        .keep_alive_timeout(SHORT);
    let server = tokio::spawn(server.into_future());
    let mut stream = connect(&connector, address).await;
    let request = "GET /large HTTP/1.1\r\nHost: test\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = vec![0];
    soon("the response", stream.read_exact(&mut response))
        .await
        .unwrap();
    tokio::time::sleep(3 * SHORT).await;
    // It ends with the connection, which is idle then, and has no more to say.
    drop(soon("the rest", stream.read_to_end(&mut response)).await);
    let head = response.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    assert_eq!(response.len() - head.unwrap() - 4, LARGE);
    server.abort();
}

/// A shutdown waits for it, and not only for the second that the rest of a head may take.
#[tokio::test]
async fn a_shutdown_waits_for_the_response() {
    let server = Running::start(large(), |server| server).await;
    let mut client = slow_reader(&server, "/large").await;
    let ended = server.draining();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_complete(client.response().await);
    let summary = soon("the end", ended).await.unwrap().unwrap();
    assert_eq!((summary.finished(), summary.aborted()), (1, 0));
    assert_eq!(summary.limits(), []);
}

/// It makes no room for a new connection.
#[tokio::test]
async fn a_new_connection_does_not_end_the_response() {
    let mut server = Running::start(large(), |server| server.max_connections(1)).await;
    let mut client = slow_reader(&server, "/large").await;
    assert_eq!(
        Client::connect(server.address)
            .await
            .get_if_admitted()
            .await,
        None
    );
    assert_eq!(server.limit().await, LimitReason::Connections);
    assert_complete(client.response().await);
    // Now it is idle.
    let mut next = Client::connect(server.address).await;
    assert_eq!(next.get("/").await.text(), "hello");
}
