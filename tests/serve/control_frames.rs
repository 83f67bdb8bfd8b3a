//! HTTP/2 frames other than DATA: a flood ends its connection, and an eager client's does not.

use crate::Running;
use crate::client::Client;
use crate::frames::{
    DATA, END_STREAM, PING, PREFACE, PRIORITY, SETTINGS, frame, head, read, window_update,
};
use crate::support::soon;
use crate::support::tls::{Setup, connect};
use crate::tls;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::{get, post};
use bytes::Bytes;
use hangup::serve::{LimitReason, serve};
use std::future::IntoFuture;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends floods until the server ends the connection. It reads what comes, as a client does that wants to flood on.
async fn flood<S: AsyncRead + AsyncWrite>(stream: S, frame: &[u8]) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let flood = frame.repeat(1000);
    let sent = async { while writer.write_all(&flood).await.is_ok() {} };
    let ended = async {
        let mut buffer = vec![0; 64 << 10];
        while !matches!(reader.read(&mut buffer).await, Ok(0) | Err(_)) {}
    };
    soon("the end of the connection", async {
        tokio::join!(sent, ended);
    })
    .await;
}

fn floods() -> [(&'static str, Vec<u8>); 5] {
    [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", frame(PRIORITY, 0, 9, &[0; 5])),
        ("WINDOW_UPDATE", window_update(0, 1)),
        ("an unknown kind", frame(99, 0, 0, &[0; 100])),
    ]
}

fn router() -> Router {
    let silent = async || Body::from_stream(futures::stream::pending::<io::Result<Bytes>>());
    let small = async || {
        let chunks = futures::stream::repeat(Bytes::from_static(b"0123456789"));
        let chunks = futures::StreamExt::take(chunks, 5000);
        Body::from_stream(futures::StreamExt::map(chunks, Ok::<_, io::Error>))
    };
    Router::new()
        .route("/", get(async || "hello"))
        .route("/silent", get(silent))
        .route("/small", get(small))
        .route("/large", get(async || vec![7; 20 << 20]))
        .route("/upload", post(async |body: Bytes| body.len().to_string()))
        .layer(axum::extract::DefaultBodyLimit::disable())
}

/// PING and SETTINGS floods (CVE-2019-9512, CVE-2019-9515) cost a third of a processor for each connection, and nothing
/// ended them: h2 has no limit for them, and a connection with a request has no time limit.
#[tokio::test]
async fn a_flood_ends_its_connection() {
    for (name, frame) in floods() {
        let mut server = Running::start(router(), |server| server.h2c(true)).await;
        let mut client = Client::connect(server.address).await;
        let settings = self::frame(SETTINGS, 0, 0, &[]);
        client.send_bytes(PREFACE).await;
        client.send_bytes(&settings).await;
        client.send_bytes(&head("GET", "/silent", 1)).await;
        flood(client.stream, &frame).await;
        assert_eq!(server.limit().await, LimitReason::ControlFrames, "{name}");
        let summary = server.stop().await;
        assert_eq!(summary.limits(), [(LimitReason::ControlFrames, 1)]);
    }
}

/// Over TLS the frames are counted after decryption.
#[tokio::test]
async fn a_flood_over_tls() {
    let setup = Setup {
        client_protocols: vec![b"h2".to_vec()],
        ..Setup::default()
    };
    let (listener, address, connector) = tls::listener(setup).await;
    let (report, mut limits) = tokio::sync::mpsc::unbounded_channel();
    let server =
        serve(listener, router()).on_limit(move |event| report.send(event.reason).unwrap());
    let server = tokio::spawn(server.into_future());
    let mut stream = connect(&connector, address).await;
    let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&opening).await.unwrap();
    stream.write_all(&head("GET", "/silent", 1)).await.unwrap();
    flood(stream, &frame(PING, 0, 0, &[0; 8])).await;
    let limit = soon("the limit", limits.recv()).await;
    assert_eq!(limit, Some(LimitReason::ControlFrames));
    server.abort();
}

/// Two WINDOW_UPDATE frames and a PING for each DATA frame are the most that clients send, with large frames and with small
/// ones, many more than the limit in all.
#[tokio::test]
async fn a_client_that_answers_every_data_frame() {
    let server = Running::start(router(), |server| server.h2c(true)).await;
    for (path, expected, least) in [("/large", 20 << 20, 1000), ("/small", 50_000, 5000)] {
        let mut client = Client::connect(server.address).await;
        client.send_bytes(PREFACE).await;
        client.send_bytes(&frame(SETTINGS, 0, 0, &[])).await;
        client.send_bytes(&head("GET", path, 1)).await;
        let (mut received, mut frames) = (0, 0);
        loop {
            let (kind, flags, _, payload) = read(&mut client.stream).await;
            if kind == DATA && !payload.is_empty() {
                received += payload.len();
                frames += 1;
                let answer = [
                    window_update(0, payload.len()),
                    window_update(1, payload.len()),
                    frame(PING, 0, 0, &[0; 8]),
                ];
                client.send_bytes(&answer.concat()).await;
            }
            if kind == DATA && flags & END_STREAM != 0 {
                break;
            }
        }
        assert_eq!(received, expected);
        assert!(frames >= least, "{frames} frames");
    }
    assert_eq!(server.stop().await.limits(), []);
}

/// A browser announces priorities with each request, and takes some requests back.
#[tokio::test]
async fn a_client_with_priorities() {
    let server = Running::start(router(), |server| server.h2c(true)).await;
    let mut client = Client::connect(server.address).await;
    client.send_bytes(PREFACE).await;
    client.send_bytes(&frame(SETTINGS, 0, 0, &[])).await;
    for idle in [3, 5, 7, 9, 11] {
        client
            .send_bytes(&frame(PRIORITY, 0, idle, &[0, 0, 0, 0, 200]))
            .await;
    }
    for number in 0..1000 {
        let stream = 13 + 2 * number;
        let mut request = frame(PRIORITY, 0, stream, &[0, 0, 0, 11, 31]);
        request.extend(head("GET", "/", stream));
        for urgency in [b"u=1", b"u=3", b"u=5"] {
            // PRIORITY_UPDATE (RFC 9218, section 7.1).
            let payload = [&stream.to_be_bytes()[..], urgency].concat();
            request.extend(frame(16, 0, 0, &payload));
            request.extend(frame(PRIORITY, 0, stream, &[0, 0, 0, 11, 31]));
        }
        request.extend(window_update(0, 5));
        request.extend(window_update(stream, 5));
        client.send_bytes(&request).await;
        loop {
            let (kind, flags, of, _) = read(&mut client.stream).await;
            if (kind, of) == (DATA, stream) && flags & END_STREAM != 0 {
                break;
            }
        }
    }
    drop(client);
    assert_eq!(server.stop().await.limits(), []);
}

/// An upload is DATA, in large frames or small ones; the client pings beside it. (h2 has a limit of its own for frames of a
/// few bytes that the service has not read yet.)
#[tokio::test]
async fn a_client_that_uploads() {
    let server = Running::start(router(), |server| server.h2c(true)).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut requests, mut connection) = h2::client::handshake(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let connection = tokio::spawn(connection);
    let pings = tokio::spawn(async move {
        for _ in 0..500 {
            soon("a PONG", pings.ping(h2::Ping::opaque()))
                .await
                .unwrap();
        }
    });
    for (size, times) in [(1000, 5000), (16 << 10, 2000)] {
        let request = Request::post("http://test/upload").body(());
        requests = requests.ready().await.unwrap();
        let (response, mut body) = requests.send_request(request.unwrap(), false).unwrap();
        for number in 0..times {
            body.reserve_capacity(size);
            while body.capacity() < size {
                let more = std::future::poll_fn(|cx| body.poll_capacity(cx));
                soon("the window", more).await.unwrap().unwrap();
            }
            let last = number + 1 == times;
            body.send_data(vec![7; size].into(), last).unwrap();
        }
        let mut response = soon("the response", response).await.unwrap();
        let length = soon("its body", response.body_mut().data()).await.unwrap();
        assert_eq!(length.unwrap(), (size * times).to_string());
    }
    pings.await.unwrap();
    drop(requests);
    drop(connection.await);
    assert_eq!(server.stop().await.limits(), []);
}
