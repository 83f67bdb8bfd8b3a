//! Files below the layers of tower-http: the client gets exactly the file's bytes, or a broken connection.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../tests/serve/client.rs"]
#[allow(dead_code, reason = "these tests use a part")]
mod client;

mod support {
    use std::time::Duration;

    pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
        match tokio::time::timeout(Duration::from_secs(60), future).await {
            Ok(output) => output,
            Err(_) => panic!("still waiting for {what}"),
        }
    }
}

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use client::{Client, Response};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hangup::MonitoredListener;
use hangup::serve::{ServeFolder, serve};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::decompression::{DecompressionLayer, RequestDecompressionLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::map_request_body::MapRequestBodyLayer;
use tower_http::map_response_body::MapResponseBodyLayer;
use tower_http::metrics::InFlightRequestsLayer;
use tower_http::metrics::in_flight_requests::InFlightRequestsCounter;
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::on_early_drop::{EarlyDropsAsFailures, OnEarlyDropLayer};
use tower_http::propagate_header::PropagateHeaderLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveHeadersLayer;
use tower_http::set_header::{SetRequestHeaderLayer, SetResponseHeaderLayer};
use tower_http::timeout::{
    RequestBodyDeadlineLayer, RequestBodyTimeoutLayer, ResponseBodyDeadlineLayer,
    ResponseBodyTimeoutLayer, TimeoutLayer,
};
use tower_http::trace::{DefaultOnFailure, TraceLayer};
use tower_http::validate_request::ValidateRequestHeaderLayer;

const LENGTHS: [usize; 5] = [0, 5, 4096, 65_537, 1_048_577];

/// Bytes that tell where they stand, and can be compressed.
fn numbered(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (number, eight) in bytes.chunks_mut(8).enumerate() {
        eight.copy_from_slice(&number.to_le_bytes()[..eight.len()]);
    }
    bytes
}

/// A folder that is gone with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("hangup-tower-http-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        for length in LENGTHS {
            let bytes = numbered(length);
            fs::write(path.join(length.to_string()), &bytes).unwrap();
            let packed = File::create(path.join(format!("{length}.gz"))).unwrap();
            let mut packed = GzEncoder::new(packed, Compression::fast());
            packed.write_all(&bytes).unwrap();
            packed.finish().unwrap();
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const ID: HeaderName = HeaderName::from_static("x-request-id");

type Apply = fn(Router) -> Router;

const LAYERS: &[(&str, Apply)] = &[
    ("catch panic", |it| it.layer(CatchPanicLayer::new())),
    ("compression", |it| it.layer(compression())),
    ("decompression", |it| it.layer(DecompressionLayer::new())),
    ("request decompression", |it| {
        it.layer(RequestDecompressionLayer::new())
    }),
    ("cors", |it| it.layer(CorsLayer::permissive())),
    ("limit", |it| it.layer(RequestBodyLimitLayer::new(1000))),
    ("map request", |it| {
        it.layer(MapRequestBodyLayer::new(Body::new))
    }),
    ("map response", |it| {
        it.layer(MapResponseBodyLayer::new(Body::new))
    }),
    ("normalize path", |it| {
        it.layer(NormalizePathLayer::trim_trailing_slash())
    }),
    ("early drop", |it| {
        let failures = EarlyDropsAsFailures::new(DefaultOnFailure::default());
        it.layer(OnEarlyDropLayer::new(failures))
    }),
    ("propagate", |it| it.layer(PropagateHeaderLayer::new(ID))),
    ("request id", |it| {
        it.layer(PropagateRequestIdLayer::new(ID))
            .layer(SetRequestIdLayer::new(ID, MakeRequestUuid))
    }),
    ("sensitive", |it| {
        let fields = [header::CONTENT_LENGTH, header::RANGE];
        it.layer(SetSensitiveHeadersLayer::new(fields))
    }),
    ("set request field", |it| {
        let value = HeaderValue::from_static("1");
        it.layer(SetRequestHeaderLayer::overriding(ID, value))
    }),
    ("set response field", |it| {
        let value = HeaderValue::from_static("text/x-other");
        it.layer(SetResponseHeaderLayer::overriding(
            header::CONTENT_TYPE,
            value,
        ))
    }),
    ("timeout", |it| {
        let status = StatusCode::GATEWAY_TIMEOUT;
        it.layer(TimeoutLayer::with_status_code(status, MINUTE))
    }),
    ("body timeouts", |it| {
        it.layer(RequestBodyTimeoutLayer::new(MINUTE))
            .layer(ResponseBodyTimeoutLayer::new(MINUTE))
    }),
    ("body deadlines", |it| {
        it.layer(RequestBodyDeadlineLayer::new(MINUTE))
            .layer(ResponseBodyDeadlineLayer::new(MINUTE))
    }),
    ("trace", |it| it.layer(TraceLayer::new_for_http())),
    ("validate", |it| {
        it.layer(ValidateRequestHeaderLayer::accept("text/plain"))
    }),
];

/// Several layers at once.
const STACKS: &[(&str, Apply)] = &[
    ("none", |it| it),
    ("twice compressed", |it| {
        it.layer(compression())
            .layer(DecompressionLayer::new())
            .layer(compression())
    }),
    ("all", |it| {
        { LAYERS.iter() }.fold(it, |it, (_, apply)| apply(it))
    }),
    ("all, the other way round", |it| {
        { LAYERS.iter().rev() }.fold(it, |it, (_, apply)| apply(it))
    }),
];

fn compression() -> CompressionLayer {
    CompressionLayer::new().quality(CompressionLevel::Fastest)
}

async fn start(router: Router) -> SocketAddr {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router).into_future());
    address
}

#[derive(Debug, Clone)]
struct Ask {
    method: &'static str,
    length: usize,
    range: Option<(usize, usize)>,
    gzip: bool,
    /// The client has the file already.
    known: bool,
}

impl Ask {
    fn random(random: &mut fastrand::Rng) -> Self {
        let length = *random.choice(&LENGTHS).unwrap();
        Self {
            method: if random.u8(..5) == 0 { "HEAD" } else { "GET" },
            length,
            range: (random.u8(..3) == 0).then(|| {
                let first = random.usize(..=length);
                (first, first + random.usize(..2_000_000))
            }),
            gzip: random.bool(),
            known: random.u8(..6) == 0,
        }
    }

    fn request(&self) -> String {
        let mut fields = String::new();
        if let Some((first, last)) = self.range {
            fields += &format!("Range: bytes={first}-{last}\r\n");
        }
        if self.gzip {
            fields += "Accept-Encoding: gzip\r\n";
        }
        if self.known {
            fields += "If-None-Match: *\r\n";
        }
        let (method, length) = (self.method, self.length);
        format!("{method} /{length} HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
    }

    fn check(&self, response: &Response, name: &str) {
        let bytes = numbered(self.length);
        let coding = response.field("content-encoding");
        let expected = match response.status {
            _ if self.method == "HEAD" => Vec::new(),
            200 => bytes,
            // A part of the file in another coding is not decoded here.
            206 if coding.is_some() => return,
            206 => {
                let (first, last) = self.range.unwrap();
                bytes[first..bytes.len().min(last + 1)].to_vec()
            }
            304 => Vec::new(),
            416 => b"Range Not Satisfiable\n".to_vec(),
            _ => panic!("{name}: {self:?}: {}", response.head),
        };
        let body = match coding {
            Some("gzip") if self.method == "GET" && response.status == 200 => {
                let mut plain = Vec::new();
                let decoded = GzDecoder::new(&response.body[..]).read_to_end(&mut plain);
                assert!(decoded.is_ok(), "{name}: {self:?}: {}", response.head);
                plain
            }
            _ => response.body.clone(),
        };
        let (got, of) = (body.len(), expected.len());
        assert!(
            body == expected,
            "{name}: {self:?}: not the {of} bytes, but {got}: {}",
            response.head
        );
    }
}

/// Some requests one after the other, and pipelined; by a client that has all room, and by one that has little.
async fn ask(address: SocketAddr, name: &str, may_break: bool, random: &mut fastrand::Rng) {
    let asks: Vec<_> = (0..6).map(|_| Ask::random(random)).collect();
    let requests: Vec<_> = asks.iter().map(Ask::request).collect();
    for (slow, pipelined) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut client = match slow {
            true => Client::with_buffer(address, 128 << 10).await,
            false => Client::connect(address).await,
        };
        if pipelined {
            client.send(&requests.concat()).await;
        }
        for (ask, request) in asks.iter().zip(&requests) {
            if !pipelined {
                client.send(request).await;
            }
            match client.response_to(ask.method).await {
                Ok(response) => ask.check(&response, name),
                // A part of a compressed file cannot be decoded.
                Err(_) if ask.range.is_some() && may_break => break,
                Err(part) => panic!("{name}: {ask:?} broke: {:?}", part.head),
            }
        }
    }
    // And by one that leaves. It gets fewer bytes if there are no more, because the last response closes.
    let mut client = Client::with_buffer(address, 64 << 10).await;
    let last = requests[5].replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    client.send(&(requests[..5].concat() + &last)).await;
    let mut some = client.stream.take(random.u64(..2_000_000));
    let _ = support::soon("some bytes", some.read_to_end(&mut Vec::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_layer() {
    let mut random = fastrand::Rng::with_seed(7);
    let folder = Folder::new();
    for packed in [false, true] {
        for (name, apply) in LAYERS.iter().chain(STACKS) {
            let service = ServeFolder::open(&folder.0).unwrap().precompressed(packed);
            let (counts, counter): (_, InFlightRequestsCounter) = InFlightRequestsLayer::pair();
            let router = apply(Router::new().fallback_service(service));
            let address = start(router.layer(counts)).await;
            let name = format!("{name}, precompressed files: {packed}");
            ask(address, &name, packed, &mut random).await;
            let ended = async {
                while counter.get() > 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            support::soon("the end of the requests", ended).await;
        }
    }
}
