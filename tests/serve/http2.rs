//! HTTP/2: by ALPN, by prior knowledge, and the bounds of its streams.

use crate::client::Client;
use crate::frames::{
    DATA, END_STREAM, GOAWAY, PING, PREFACE, SETTINGS, frame, head, read, settings,
};
use crate::support::soon;
use crate::{Running, endless};
use axum::Router;
use axum::http;
use axum::routing::get;
use bytes::Bytes;
use h2::client::SendRequest;
use hangup::StallPolicy;
use hangup::serve::LimitReason;
use http_body_util::{BodyExt, Full};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;

/// Long enough for a client on a busy machine, which reads late, not to count as stalled.
const WINDOW: Duration = Duration::from_secs(3);

/// Bytes. The default, 65 535, is that of one stream: one that is not read would stall all others.
const CONNECTION_WINDOW: u32 = 1 << 20;

pub(crate) async fn connect(
    address: SocketAddr,
    window: u32,
) -> (SendRequest<Bytes>, JoinHandle<()>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    builder.initial_connection_window_size(CONNECTION_WINDOW);
    let (requests, connection) = builder.handshake(stream).await.unwrap();
    (requests, tokio::spawn(async { drop(connection.await) }))
}

pub(crate) async fn ask(
    requests: &SendRequest<Bytes>,
    path: &str,
) -> Result<http::Response<h2::RecvStream>, h2::Error> {
    let request = http::Request::get(format!("http://test{path}"));
    let mut ready = requests.clone().ready().await?;
    let (response, _) = ready.send_request(request.body(()).unwrap(), true)?;
    response.await
}

/// Tells of its drop.
struct Held(tokio::sync::mpsc::UnboundedSender<()>);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A stream that is never read frees its producer, and those beside it go on; with the last one the connection
/// ends. No stall of the connection would find it: the client reads, and answers pings.
#[tokio::test]
async fn a_stream_that_is_never_read() {
    let (dropped, mut drops) = unbounded_channel();
    let router = Router::new().route("/hello", get(async || "hello")).route(
        "/endless",
        get(async move || {
            let held = Held(dropped.clone());
            let body = endless();
            axum::body::Body::from_stream(futures::StreamExt::map(
                body.into_data_stream(),
                move |chunk| {
                    let _ = &held;
                    chunk
                },
            ))
        }),
    );
    let policy = StallPolicy::new(1000, WINDOW);
    let mut server = Running::start(router, |server| server.h2c(true).stall_policy(policy)).await;
    let (requests, connection) = connect(server.address, 65_535).await;
    let mut unread = ask(&requests, "/endless").await.unwrap();
    let busy = tokio::spawn({
        let requests = requests.clone();
        async move {
            let mut read = ask(&requests, "/endless").await.unwrap();
            loop {
                let chunk = read.body_mut().data().await.unwrap().unwrap();
                let _ = read.body_mut().flow_control().release_capacity(chunk.len());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    soon("the end of the producer", drops.recv()).await;
    assert_eq!(server.limit().await, LimitReason::StreamStalled);
    let body = unread.body_mut();
    let error = async {
        loop {
            if let Err(error) = body.data().await.unwrap() {
                break error;
            }
        }
    };
    assert!(soon("the reset of the stream", error).await.is_reset());
    assert!(!busy.is_finished());
    let hello = soon("another request", ask(&requests, "/hello")).await;
    assert_eq!(hello.unwrap().status(), 200);
    busy.abort();
    drop(busy.await);
    let _unread = ask(&requests, "/endless").await.unwrap();
    soon("the end of the connection", connection).await.unwrap();
}

/// A client that opens its window byte by byte reads too slowly.
#[tokio::test]
async fn a_window_that_opens_byte_by_byte() {
    let router = Router::new().route("/endless", get(async || endless()));
    let policy = StallPolicy::new(1000, WINDOW);
    let mut server = Running::start(router, |server| server.h2c(true).stall_policy(policy)).await;
    let (requests, _connection) = connect(server.address, 0).await;
    let mut response = ask(&requests, "/endless").await.unwrap();
    let dribble = async {
        let body = response.body_mut();
        loop {
            match tokio::time::timeout(Duration::from_millis(20), body.data()).await {
                Ok(Some(Ok(data))) => {
                    let _ = body.flow_control().release_capacity(data.len());
                }
                Ok(_) => break,
                Err(_) => {}
            }
        }
    };
    soon("the end of the stream", dribble).await;
    assert_eq!(server.limit().await, LimitReason::StreamStalled);
}

/// A window of one byte holds back the rest of each response, and a client can keep a connection in use by other requests. h2 kept
/// the rest, and no limit applied: such responses were no requests in progress any more.
#[tokio::test]
async fn responses_behind_a_window_of_a_byte() {
    const MAX: u32 = 5;
    let trailers = http::HeaderMap::from_iter([(http::header::ETAG, "1".parse().unwrap())]);
    let large = || vec![7; 16 << 10];
    let with_trailers = async move || {
        let body = Full::from(large()).with_trailers(async move { Some(Ok(trailers)) });
        axum::body::Body::new(body)
    };
    let router = Router::new()
        .route("/known", get(async move || large()))
        .route("/trailers", get(with_trailers));
    let policy = StallPolicy::new(1000, WINDOW);
    for path in ["/known", "/trailers"] {
        let mut server = Running::start(router.clone(), |server| {
            server
                .h2c(true)
                .stall_policy(policy)
                .max_requests(MAX as usize)
        })
        .await;
        let mut client = Client::connect(server.address).await;
        client
            .send_bytes(&[PREFACE, &settings(&[(4, 1)])].concat())
            .await;
        for stream in 0..MAX {
            client.send_bytes(&head("GET", path, 2 * stream + 1)).await;
        }
        let mut waiting = 0;
        while waiting < MAX {
            waiting += u32::from(read(&mut client.stream).await.0 == DATA);
        }
        client.send_bytes(&head("GET", path, 2 * MAX + 1)).await;
        assert_eq!(server.limit().await, LimitReason::Requests);
        for _ in 0..MAX {
            assert_eq!(server.limit().await, LimitReason::StreamStalled);
        }
    }
}

/// A client makes requests that the server refuses, and takes no byte of the answers. They waited for it without a limit, and so
/// did its connection, which had a request and made no room for another one.
#[tokio::test]
async fn refusals_behind_a_closed_window() {
    let policy = StallPolicy::new(1000, WINDOW);
    let mut server = Running::start(Router::new(), |server| {
        server
            .h2c(true)
            .stall_policy(policy)
            .max_headers(1)
            .max_uri_length(100)
            .max_requests_per_address(2)
    })
    .await;
    let mut two_fields = head("GET", "/", 1);
    // Without indexing, with a new name (RFC 7541, section 6.2.2).
    two_fields.extend(b"\0\x01a\x01b\0\x01b\x01a");
    two_fields[2] = u8::try_from(two_fields.len() - 9).unwrap();
    for (reason, requests) in [
        (LimitReason::HeadSize, two_fields),
        (LimitReason::UriLength, head("GET", &"/".repeat(101), 1)),
    ] {
        let mut client = Client::connect(server.address).await;
        client
            .send_bytes(&[PREFACE, &settings(&[(4, 0)]), &requests].concat())
            .await;
        assert_eq!(server.limit().await, reason);
        assert_eq!(server.limit().await, LimitReason::StreamStalled);
        client.ended().await;
    }
    // Of three requests the third is one too many.
    let mut client = Client::connect(server.address).await;
    client
        .send_bytes(&[PREFACE, &settings(&[(4, 0)])].concat())
        .await;
    for stream in [1, 3, 5] {
        client.send_bytes(&head("GET", "/", stream)).await;
    }
    assert_eq!(server.limit().await, LimitReason::RequestsPerAddress);
    assert_eq!(server.limit().await, LimitReason::StreamStalled);
}

/// The same with responses that h2 takes as a whole. A few may wait for a client in this way without being requests in progress,
/// and not as many as a client has streams.
#[tokio::test]
async fn small_responses_behind_a_window_of_a_byte() {
    const FREE: u32 = 16;
    const MORE: u32 = 4;
    let router = Router::new().route("/small", get(async || vec![7; 1000]));
    let policy = StallPolicy::new(1000, WINDOW);
    let mut server = Running::start(router, |server| server.h2c(true).stall_policy(policy)).await;
    let mut client = Client::connect(server.address).await;
    client
        .send_bytes(&[PREFACE, &settings(&[(4, 1)])].concat())
        .await;
    for stream in 0..FREE + MORE {
        let request = head("GET", "/small", 2 * stream + 1);
        client.send_bytes(&request).await;
    }
    for _ in 0..MORE {
        assert_eq!(server.limit().await, LimitReason::StreamStalled);
    }
    // No request is left.
    client.ended().await;
    assert_eq!(
        server.stop().await.limits(),
        [(LimitReason::StreamStalled, MORE.into())]
    );
}

/// Without TLS HTTP/2 is spoken only if it was asked for.
#[tokio::test]
async fn h2c_is_off() {
    let router = Router::new().route("/", get(async || "hello"));
    let server = Running::start(router, |server| server).await;
    let mut client = Client::connect(server.address).await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let answer = client.ended().await;
    assert!(!answer.starts_with(b"\0"), "no frame: {answer:?}");
}

/// With prior knowledge both versions come by one port.
#[tokio::test]
async fn h2c_beside_http1() {
    let router = Router::new().route("/", get(async || "hello"));
    let server = Running::start(router, |server| server.h2c(true)).await;
    let mut client = Client::connect(server.address).await;
    client.send("G").await;
    client.send("ET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().text(), "hello");
    let (requests, _connection) = connect(server.address, 65_535).await;
    assert_eq!(ask(&requests, "/").await.unwrap().status(), 200);
}

/// A server that ends idle connections soon.
async fn with_short_keep_alive(router: Router) -> Running {
    let time = Duration::from_millis(300);
    Running::start(router, |server| server.h2c(true).keep_alive_timeout(time)).await
}

#[tokio::test]
async fn an_idle_connection_hears_goodbye() {
    let router = Router::new().route("/", get(async || "hello"));
    let mut server = with_short_keep_alive(router).await;
    let (requests, connection) = connect(server.address, 65_535).await;
    assert_eq!(ask(&requests, "/").await.unwrap().status(), 200);
    assert_eq!(server.limit().await, LimitReason::KeepAliveTimeout);
    soon("the end of the connection", connection).await.unwrap();
}

/// A 101 is for HTTP/1.1, and upgrades nothing on HTTP/2 (RFC 9113, section 8.6). The server took the connection for an upgraded
/// one, which is the program's: no time limit and no new connection ended it.
#[tokio::test]
async fn a_status_of_an_upgrade() {
    let router = Router::new().route("/", get(async || http::StatusCode::SWITCHING_PROTOCOLS));
    let mut server = with_short_keep_alive(router).await;
    let mut client = Client::connect(server.address).await;
    client.send_bytes(PREFACE).await;
    client.send_bytes(&frame(SETTINGS, 0, 0, &[])).await;
    client.send_bytes(&head("GET", "/", 1)).await;
    assert_eq!(server.limit().await, LimitReason::KeepAliveTimeout);
}

/// A request that crosses the GOAWAY of an idle connection is one that the server takes: its second GOAWAY says so (RFC 9113,
/// section 6.8). The connection was closed five seconds after the first one, in the middle of the response.
#[tokio::test]
async fn a_request_that_crosses_the_goodbye() {
    let slow = async || {
        // Longer than the client has to close the connection.
        tokio::time::sleep(Duration::from_secs(6)).await;
        "slow"
    };
    let router = Router::new().route("/", get(slow));
    let mut server = with_short_keep_alive(router).await;
    let mut client = Client::connect(server.address).await;
    client.send_bytes(PREFACE).await;
    client.send_bytes(&frame(SETTINGS, 0, 0, &[])).await;
    client.send_bytes(&head("GET", "/missing", 1)).await;
    let mut body = Vec::new();
    loop {
        let (kind, flags, stream, payload) = read(&mut client.stream).await;
        match (kind, stream) {
            // It announces the last stream that there can be.
            (GOAWAY, _) if payload.starts_with(&[0x7f]) => {
                client.send_bytes(&head("GET", "/", 3)).await;
            }
            (GOAWAY, _) => assert_eq!(payload[..4], [0, 0, 0, 3], "the server takes it"),
            (PING, _) => client.send_bytes(&frame(PING, 1, 0, &payload)).await,
            (DATA, 3) => body.extend(payload),
            _ => {}
        }
        if (kind, stream) == (DATA, 3) && flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(body, b"slow");
    assert_eq!(server.limit().await, LimitReason::KeepAliveTimeout);
    assert_eq!(client.ended().await, b"");
}
