//! The small responses of many HTTP/2 streams leave together.

use crate::Running;
use crate::frames::{DATA, END_STREAM, PREFACE, head, read, settings};
use crate::http2::{self, ask};
use crate::support::soon;
use crate::support::tls::Setup;
use crate::tls::listener;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use hangup::serve::serve;
use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::io::InspectReader;

/// More than h2 collects itself.
const BODY: usize = 300;
const STREAMS: u32 = 50;

/// Counts TLS records (RFC 8446, section 5.1) in the bytes that it gets.
fn count_records(records: Arc<AtomicUsize>) -> impl FnMut(&[u8]) {
    let (mut header, mut skip) = (Vec::new(), 0);
    move |mut bytes| {
        while let Some((&byte, rest)) = bytes.split_first() {
            if skip > 0 {
                let skipped = bytes.len().min(skip);
                skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            header.push(byte);
            bytes = rest;
            if let [_, _, _, high, low] = header[..] {
                skip = usize::from(u16::from_be_bytes([high, low]));
                header.clear();
                records.fetch_add(1, Relaxed);
            }
        }
    }
}

#[tokio::test]
async fn small_responses_share_records() {
    let setup = Setup {
        client_protocols: vec![b"h2".to_vec()],
        ..Setup::default()
    };
    let (listener, address, connector) = listener(setup).await;
    let router = Router::new().route("/", get(async || "x".repeat(BODY)));
    let server = tokio::spawn(serve(listener, router).into_future());

    let records = Arc::new(AtomicUsize::new(0));
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = InspectReader::new(stream, count_records(records.clone()));
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = soon("the handshake", connector.connect(name, stream))
        .await
        .unwrap();
    let before = records.load(Relaxed);
    let mut requests = [PREFACE, &settings(&[])[..]].concat();
    for stream in 0..STREAMS {
        requests.extend(head("GET", "/", 2 * stream + 1));
    }
    client.write_all(&requests).await.unwrap();

    let mut ended = 0;
    let mut bytes = 0;
    while ended < STREAMS {
        let (kind, flags, _, payload) = read(&mut client).await;
        if kind == DATA {
            bytes += payload.len();
            ended += u32::from(flags & END_STREAM);
        }
    }
    assert_eq!(bytes, BODY * STREAMS as usize);
    // Among them the tickets of the session, and the settings. One for each response would be 50.
    let records = records.load(Relaxed) - before;
    assert!(records < 15, "{records} records");
    server.abort();
}

/// Bodies of many sizes over a buffer that holds few of them, to a client with a small window.
#[tokio::test]
async fn bodies_arrive_whole() {
    const BODIES: usize = 90;
    fn body(number: usize) -> Vec<u8> {
        let length = number * number * 5;
        (0..length).map(|at| (at * (number + 1)) as u8).collect()
    }
    let router = Router::new().route(
        "/{number}",
        get(async |Path(number): Path<usize>| body(number)),
    );
    let server = Running::start(router, |server| server.h2c(true).buffer_size(8 << 10)).await;
    let (requests, _connection) = http2::connect(server.address, 5000).await;
    let responses = (0..BODIES).map(|number| {
        let requests = &requests;
        async move {
            let mut response = ask(requests, &format!("/{number}")).await.unwrap();
            let mut received = Vec::new();
            while let Some(part) = response.body_mut().data().await {
                let part = part.unwrap();
                let _ = response
                    .body_mut()
                    .flow_control()
                    .release_capacity(part.len());
                received.extend(part);
            }
            assert!(received == body(number), "{number}");
        }
    });
    soon("all bodies", futures::future::join_all(responses)).await;
}
