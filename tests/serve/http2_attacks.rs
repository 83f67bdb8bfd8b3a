//! Attacks on HTTP/2, frame by frame, on this crate's server and on tonic's own server with this crate's listener. An
//! honest gRPC client beside them is answered all the time.
//!
//! ```sh
//! cargo test --all-features --test serve http2_attacks -- --nocapture
//! ```
//!
//! prints what became of each attack. `docs/security.md` has the bounds.

use crate::frames::{
    DATA, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, head, settings, window_update,
};
use crate::grpc::Messages;
use crate::support::raw_messages::Raw;
use crate::support::soon;
use crate::{Running, endless};
use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use futures::{StreamExt, stream};
use hangup::serve::LimitReason;
use hangup::tonic::Incoming;
use hangup::{MonitoredListener, StallPolicy};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinHandle};
use tonic::service::Routes;
use tonic::transport::Endpoint;

/// Long against the load of the machine, short against an attack that shuts others out.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an attack goes on that nothing ends.
const ATTACK: Duration = Duration::from_millis(500);

/// How long a stream or a body may take no bytes.
const SHORT: Duration = Duration::from_millis(500);

/// A flood: what it begins with, and its `n`th part.
struct Attack {
    name: &'static str,
    begin: Vec<u8>,
    part: Box<dyn Fn(u32) -> Vec<u8> + Send>,
    /// Whether tonic's own server ends it. This crate's ends them all.
    ended_by_tonic: bool,
}

fn attack(
    name: &'static str,
    begin: Vec<u8>,
    part: impl Fn(u32) -> Vec<u8> + Send + 'static,
    ended_by_tonic: bool,
) -> Attack {
    Attack {
        name,
        begin,
        part: Box::new(part),
        ended_by_tonic,
    }
}

/// The streams of a part of a flood that opens a hundred in each.
fn streams(part: u32) -> impl Iterator<Item = u32> {
    (0..100).map(move |number| 1 + 2 * (100 * part + number))
}

/// A HEADERS frame whose block comes in CONTINUATION frames that never end.
fn endless_head() -> Vec<u8> {
    frame(HEADERS, 0, 1, &[0x82, 0x86, 0x84])
}

/// A table entry of 4000 bytes, and as many references to it as fit in a frame (RFC 7541, section 6).
fn hpack_bomb(stream: u32) -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x84, 0x40, 1, b'x', 0x7f];
    // 4000 is 127 + 33 + 30 * 128 (section 5.1).
    block.extend([0x80 | 33, 30]);
    block.extend([b'y'; 4000]);
    block.extend([0xbe; 12_000]);
    frame(HEADERS, 4, stream, &block)
}

fn attacks() -> Vec<Attack> {
    let call = |stream| head("POST", "/test.Messages/Echo", stream);
    let cancel = |stream: u32| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    let upload = move |stream| [call(stream), window_update(0, 1 << 20)].concat();
    vec![
        attack(
            "PING",
            vec![],
            |_| frame(6, 0, 0, &[0; 8]).repeat(1000),
            false,
        ),
        attack(
            "SETTINGS that change all windows",
            streams(0).take(90).flat_map(call).collect(),
            |_| {
                let change = |window| settings(&[(4, window)]);
                [change(1), change(60_000)].concat().repeat(500)
            },
            false,
        ),
        attack(
            "WINDOW_UPDATE for the connection",
            vec![],
            |_| window_update(0, 1).repeat(1000),
            false,
        ),
        attack(
            "windows that open byte by byte",
            streams(0)
                .take(90)
                .map(|stream| head("GET", "/endless", stream))
                .fold(settings(&[(4, 0)]), |all, head| [all, head].concat()),
            |_| {
                streams(0)
                    .take(90)
                    .flat_map(|stream| window_update(stream, 1))
                    .collect()
            },
            false,
        ),
        attack(
            "CONTINUATION",
            endless_head(),
            |_| frame(9, 0, 1, b"\x40\x01x\x01y").repeat(1000),
            true,
        ),
        attack(
            "empty CONTINUATION",
            endless_head(),
            |_| frame(9, 0, 1, &[]).repeat(1000),
            true,
        ),
        attack(
            "references to a long field",
            vec![],
            |part| hpack_bomb(1 + 2 * part),
            true,
        ),
        attack(
            "requests that are reset",
            vec![],
            move |part| {
                streams(part)
                    .flat_map(|stream| [call(stream), cancel(stream)].concat())
                    .collect()
            },
            true,
        ),
        attack(
            "requests beyond the limit of streams",
            vec![],
            move |part| streams(part).flat_map(call).collect(),
            false,
        ),
        attack(
            "empty DATA",
            upload(1),
            |_| frame(DATA, 0, 1, &[]).repeat(1000),
            true,
        ),
        attack(
            "streams that errors end",
            vec![],
            move |part| {
                // An increment of zero is an error of the stream (RFC 9113, section 6.9).
                let wrong = |stream| [call(stream), window_update(stream, 0)].concat();
                streams(part).flat_map(wrong).collect()
            },
            true,
        ),
    ]
}

/// Sends the attack and reads what comes, until the server ends the connection or for [`ATTACK`]. Returns whether the server
/// has ended it.
async fn run(address: SocketAddr, attack: &Attack, until_ended: bool) -> bool {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let begin = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &attack.begin].concat();
    writer.write_all(&begin).await.unwrap();
    let sent = async {
        for part in 0.. {
            if writer.write_all(&(attack.part)(part)).await.is_err() {
                break;
            }
        }
    };
    let read = async {
        let mut buffer = vec![0; 64 << 10];
        while !matches!(reader.read(&mut buffer).await, Ok(0) | Err(_)) {}
    };
    let ended = async { tokio::join!(sent, read) };
    match until_ended {
        true => {
            soon(attack.name, ended).await;
            true
        }
        false => tokio::time::timeout(ATTACK, ended).await.is_ok(),
    }
}

/// Calls the echo again and again, each time with three messages, until it is stopped. The slowest call.
fn honest(
    address: SocketAddr,
    stopped: tokio_util::sync::CancellationToken,
) -> JoinHandle<Duration> {
    tokio::spawn(async move {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut slowest = Duration::ZERO;
        loop {
            let begun = Instant::now();
            let channel = soon("the connection", endpoint.connect()).await.unwrap();
            let mut client = tonic::client::Grpc::new(channel);
            soon("the connection", client.ready()).await.unwrap();
            let path = http::uri::PathAndQuery::from_static("/test.Messages/Echo");
            let messages = stream::repeat(Bytes::from_static(b"honest")).take(3);
            let echoed = client.streaming(tonic::Request::new(messages), path, Raw);
            let echoed = soon("the response", echoed).await.unwrap().into_inner();
            assert_eq!(soon("the echo", echoed.count()).await, 3);
            slowest = slowest.max(begun.elapsed());
            if stopped.is_cancelled() {
                return slowest;
            }
        }
    })
}

fn router() -> Router {
    Routes::new(Messages)
        .into_axum_router()
        .route("/endless", get(async || endless()))
        .route("/upload", post(async |body: Bytes| body.len().to_string()))
}

/// Runs each attack beside an honest client.
async fn attack_all(address: SocketAddr, name: &str, is_ended: impl Fn(&Attack) -> bool) {
    for attack in attacks() {
        let stop = tokio_util::sync::CancellationToken::new();
        let honest = honest(address, stop.clone());
        let expected = is_ended(&attack);
        let begun = Instant::now();
        let ended = run(address, &attack, expected).await;
        let took = begun.elapsed();
        stop.cancel();
        let slowest = honest.await.unwrap();
        let how = if ended { "ended" } else { "goes on" };
        println!(
            "{name}: {}: {how} after {took:.1?}, slowest honest call {slowest:.1?}",
            attack.name
        );
        assert!(slowest < PATIENCE, "{}: {slowest:?}", attack.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_serve() {
    let server = Running::start(router(), |server| {
        let policy = StallPolicy::new(64 << 10, SHORT);
        // After its GOAWAY the server read on for this long, as from a client of HTTP/1 that is still uploading. A flood that
        // h2 had ended kept it busy for 30 s.
        let long = Duration::from_secs(3600);
        server
            .h2c(true)
            .request_body_rate(policy)
            .lingering_time(long)
    })
    .await;
    attack_all(server.address, "serve", |_| true).await;
    println!("serve: {}", server.stop().await);
}

/// tonic's own server on our connections. It runs until the task is aborted.
async fn start_tonic() -> (SocketAddr, AbortHandle) {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder()
        .add_service(Messages)
        .serve_with_incoming(Incoming::new(listener));
    (address, tokio::spawn(server).abort_handle())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_tonic() {
    let (address, server) = start_tonic().await;
    attack_all(address, "tonic", |attack| attack.ended_by_tonic).await;
    server.abort();
}

/// Makes 90 calls whose windows stay closed, and reads nothing else. Returns whether the server has ended the connection
/// within `patience`.
async fn never_reads(address: SocketAddr, patience: Duration) -> bool {
    let call = |stream| {
        let message = frame(DATA, END_STREAM, stream, b"\0\0\0\0\x01x");
        [head("POST", "/test.Messages/Send", stream), message].concat()
    };
    let mut stream = TcpStream::connect(address).await.unwrap();
    let calls: Vec<u8> = streams(0).take(90).flat_map(call).collect();
    let begin = [PREFACE, &settings(&[(4, 0)]), &calls].concat();
    stream.write_all(&begin).await.unwrap();
    let mut buffer = vec![0; 64 << 10];
    let ended = async { while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    tokio::time::timeout(patience, ended).await.is_ok()
}

/// Streams whose windows never open cost the client nothing. tonic's own server keeps them as long as the client stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_never_read() {
    let mut server = Running::start(router(), |server| {
        let policy = StallPolicy::new(64 << 10, SHORT);
        server.h2c(true).stall_policy(policy)
    })
    .await;
    assert!(never_reads(server.address, Duration::from_secs(60)).await);
    for _ in 0..90 {
        assert_eq!(server.limit().await, LimitReason::StreamStalled);
    }

    let (address, tonic) = start_tonic().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let honest = honest(address, stop.clone());
    assert!(!never_reads(address, 4 * SHORT).await);
    stop.cancel();
    assert!(honest.await.unwrap() < PATIENCE);
    tonic.abort();
}
