//! A response counts until it is sent. hyper drops a body as soon as it has its last part, which may be all of it.

use crate::client::{Client, Response};
use crate::files::{Folder, numbered};
use crate::frames::{DATA, END_STREAM, PREFACE, RST_STREAM, head, read, settings, window_update};
use crate::support::soon;
use crate::support::tls::{Setup, connect};
use crate::tls;
use crate::{Running, endless};
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use hangup::serve::{LimitReason, ServeFolder, serve};
use hangup::{MonitoredListener, StallPolicy};
use std::future::IntoFuture;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

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

/// On HTTP/2, h2 keeps what the client's window has no room for. The end of a response was cut five seconds after the
/// `keep_alive_timeout` or the begin of a shutdown, which then told that the connection had finished.
#[tokio::test]
async fn a_response_behind_a_small_window() {
    let body = || numbered(16 << 10);
    let end = async |drains: bool| {
        let server = Running::start(
            Router::new().route("/", get(async move || body())),
            |server| server.h2c(true).keep_alive_timeout(SHORT),
        )
        .await;
        let mut client = Client::connect(server.address).await;
        client
            .send_bytes(&[PREFACE, &settings(&[(4, 1)]), &head("GET", "/", 1)].concat())
            .await;
        let mut received = Vec::new();
        while received.is_empty() {
            if let (DATA, _, 1, payload) = read(&mut client.stream).await {
                received.extend(payload);
            }
        }
        let ended = match drains {
            true => Ok(server.draining()),
            false => Err(server),
        };
        tokio::time::sleep(Duration::from_secs(6)).await;
        client.send_bytes(&window_update(1, 16 << 10)).await;
        let mut is_over = false;
        while !is_over {
            if let (DATA, flags, 1, payload) = read(&mut client.stream).await {
                received.extend(payload);
                is_over = flags & END_STREAM != 0;
            }
        }
        assert!(received == body());
        drop(client);
        match ended {
            Ok(ended) => {
                let summary = soon("the end", ended).await.unwrap().unwrap();
                assert_eq!((summary.finished(), summary.aborted()), (1, 0));
            }
            Err(mut server) => assert!(server.limits.try_recv().is_err()),
        }
    };
    tokio::join!(end(true), end(false));
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

/// Downloads at once, to a client that takes several times what the policy asks for. Each alone was too slow, so all of them were
/// reset, and the connection was closed. What slows them is the socket, or the window of the connection.
#[tokio::test]
async fn many_streams_share_a_link() {
    let window = Duration::from_secs(3);
    let policy = StallPolicy::new(64 << 10, window);
    let open = 0x7fff_ffff;
    let slow = async |by_window: bool, streams: u32, rate: u32| {
        let socket = TcpSocket::new_v4().unwrap();
        if !by_window {
            // The system takes little that the client does not read.
            socket.set_send_buffer_size(32 << 10).unwrap();
        }
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = MonitoredListener::from_listener(socket.listen(1).unwrap());
        let address = listener.local_addr().unwrap();
        let (events, mut limits) = tokio::sync::mpsc::unbounded_channel();
        let server = serve(listener, Router::new().route("/", get(async || endless())))
            .h2c(true)
            .stall_policy(policy)
            .on_limit(move |event| {
                let _ = events.send(event.reason);
            });
        let server = tokio::spawn(server.into_future());
        let mut hello = [PREFACE, &settings(&[(4, open)])].concat();
        let mut client = if by_window {
            Client::connect(address).await
        } else {
            hello.extend(window_update(0, 0x7000_0000));
            Client::with_small_buffer(address).await
        };
        for stream in 0..streams {
            hello.extend(head("GET", "/", 2 * stream + 1));
        }
        client.send_bytes(&hello).await;
        let began = tokio::time::Instant::now();
        let mut data = 0;
        while began.elapsed() < 2 * window + window / 2 {
            let (kind, _, _, payload) = read(&mut client.stream).await;
            assert_ne!(kind, RST_STREAM);
            if kind == DATA {
                let length = u32::try_from(payload.len()).unwrap();
                data += length;
                if by_window {
                    client.send_bytes(&window_update(0, payload.len())).await;
                }
            }
            tokio::time::sleep_until(began + Duration::from_secs(1) * data / rate).await;
        }
        assert!(limits.try_recv().is_err());
        server.abort();
    };
    tokio::join!(slow(false, 20, 200_000), slow(true, 5, 80_000));
}
