//! Whatever a middleware does to a file's body, and whatever a client does: the client gets the right bytes, or
//! a broken connection after some of them, and never a wrong byte.

use crate::Running;
use crate::client::Client;
use crate::files::{Folder, numbered};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use hangup::serve::ServeFolder;
use http_body::{Body as _, Frame, SizeHint};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncReadExt;

const LENGTHS: [usize; 6] = [0, 5, 65_536, 65_537, 1_048_577, 3_000_000];

/// What a middleware does to the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Middleware {
    Pass,
    /// Collects it.
    Collect,
    /// Passes it through another task.
    OtherTask,
    /// Sends it with an unknown length, as a compression does.
    Chunked,
    /// Changes each byte.
    Map,
    /// Cuts its parts into smaller ones.
    Split(usize),
    /// Puts something before it, and says so.
    Prepend,
    /// Puts something behind it, and says so.
    Append,
    /// Ends it early, and says nothing.
    Stop(usize),
    /// Leaves its first part out, and says nothing.
    Skip,
    /// Exchanges each two of its parts.
    Swap,
    /// Copies it.
    Copy,
}

fn middleware() -> impl Strategy<Value = Middleware> {
    prop_oneof![
        Just(Middleware::Pass),
        Just(Middleware::Collect),
        Just(Middleware::OtherTask),
        Just(Middleware::Chunked),
        Just(Middleware::Map),
        (1_usize..100_000).prop_map(Middleware::Split),
        Just(Middleware::Prepend),
        Just(Middleware::Append),
        (0_usize..2_000_000).prop_map(Middleware::Stop),
        Just(Middleware::Skip),
        Just(Middleware::Swap),
        Just(Middleware::Copy),
    ]
}

impl Middleware {
    /// The body that the client is to get of `bytes`, whole or up to where the connection breaks. `None`: it
    /// breaks somewhere.
    fn expected(self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Map => bytes.into_iter().map(|byte| byte ^ 0x55).collect(),
            Self::Prepend => [b"before".to_vec(), bytes].concat(),
            Self::Append => [bytes, b"behind".to_vec()].concat(),
            _ => bytes,
        }
    }

    /// Whether the client gets the whole, unless it leaves.
    fn is_complete(self) -> bool {
        !matches!(
            self,
            Self::Map | Self::Stop(_) | Self::Skip | Self::Swap | Self::Copy
        )
    }

    /// Whether what comes is in the order of the file.
    fn is_in_order(self) -> bool {
        !matches!(self, Self::Skip | Self::Swap)
    }

    async fn apply(self, response: Response) -> Response {
        let (mut parts, body) = response.into_parts();
        let length = body.size_hint().exact();
        let lengthen = |parts: &mut http::response::Parts, by: u64| {
            if let Some(length) = length {
                parts.headers.insert(CONTENT_LENGTH, (length + by).into());
            }
        };
        let body = match self {
            Self::Pass => body,
            Self::Collect => axum::body::to_bytes(body, usize::MAX).await.unwrap().into(),
            Self::OtherTask => {
                let (sender, receiver) = tokio::sync::mpsc::channel(1);
                tokio::spawn(async move {
                    let mut chunks = body.into_data_stream();
                    while let Some(chunk) = chunks.next().await {
                        if sender.send(chunk).await.is_err() {
                            break;
                        }
                    }
                });
                let receiver = tokio_stream::wrappers::ReceiverStream::new(receiver);
                Body::from_stream(receiver)
            }
            Self::Chunked => {
                parts.headers.remove(CONTENT_LENGTH);
                Body::from_stream(body.into_data_stream())
            }
            Self::Map => Changed::body(body, length, |chunk| {
                vec![chunk.iter().map(|byte| byte ^ 0x55).collect()]
            }),
            Self::Copy => Changed::body(body, length, |chunk| vec![Bytes::copy_from_slice(&chunk)]),
            Self::Split(size) => Changed::body(body, length, move |chunk| {
                let sizes = (0..chunk.len()).step_by(size);
                sizes
                    .map(|at| chunk.slice(at..chunk.len().min(at + size)))
                    .collect()
            }),
            Self::Prepend => {
                lengthen(&mut parts, 6);
                let before = futures::stream::iter([Ok(Bytes::from_static(b"before"))]);
                Body::from_stream(before.chain(body.into_data_stream()))
            }
            Self::Append => {
                lengthen(&mut parts, 6);
                let behind = futures::stream::iter([Ok(Bytes::from_static(b"behind"))]);
                Body::from_stream(body.into_data_stream().chain(behind))
            }
            Self::Stop(after) => {
                let mut left = after;
                Changed::body(body, length, move |mut chunk| {
                    chunk.truncate(left);
                    left -= chunk.len();
                    vec![chunk]
                })
            }
            Self::Skip => {
                let mut first = true;
                Changed::body(body, length, move |chunk| {
                    match std::mem::take(&mut first) {
                        true => Vec::new(),
                        false => vec![chunk],
                    }
                })
            }
            Self::Swap => {
                let mut held = None;
                Changed::body(body, length, move |chunk| match held.take() {
                    Some(first) => vec![chunk, first],
                    None => {
                        held = Some(chunk);
                        Vec::new()
                    }
                })
            }
        };
        Response::from_parts(parts, body)
    }
}

type Change = Box<dyn FnMut(Bytes) -> Vec<Bytes> + Send>;

/// A body whose parts are changed, and that says it is as long as before.
struct Changed {
    body: Body,
    left: Option<u64>,
    change: Change,
    ready: VecDeque<Bytes>,
}

impl Changed {
    fn body(
        body: Body,
        length: Option<u64>,
        change: impl FnMut(Bytes) -> Vec<Bytes> + Send + 'static,
    ) -> Body {
        Body::new(Self {
            body,
            left: length,
            change: Box::new(change),
            ready: VecDeque::new(),
        })
    }
}

impl http_body::Body for Changed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            if let Some(chunk) = this.ready.pop_front().filter(|chunk| !chunk.is_empty()) {
                this.left = this
                    .left
                    .map(|left| left.saturating_sub(chunk.len() as u64));
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let chunks = (this.change)(frame.into_data().unwrap_or_default());
                    this.ready.extend(chunks);
                }
                other => return Poll::Ready(other),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// One request: which file, and which part of it.
#[derive(Debug, Clone)]
struct Ask {
    file: usize,
    range: Option<(usize, usize)>,
}

#[derive(Debug, Clone)]
struct Case {
    middleware: Middleware,
    asks: Vec<Ask>,
    pipelined: bool,
    slow: bool,
    /// The client leaves after so many bytes.
    leaves: Option<usize>,
}

fn case() -> impl Strategy<Value = Case> {
    let ask = (
        0..LENGTHS.len(),
        proptest::option::of((0_usize..3_000_000, 0_usize..3_000_000)),
    )
        .prop_map(|(file, range)| Ask { file, range });
    (
        middleware(),
        proptest::collection::vec(ask, 1..5),
        any::<bool>(),
        proptest::bool::weighted(0.3),
        proptest::option::weighted(0.2, 0_usize..2_000_000),
    )
        .prop_map(|(middleware, asks, pipelined, slow, leaves)| Case {
            middleware,
            asks,
            pipelined,
            slow,
            leaves,
        })
}

impl Ask {
    fn request(&self) -> String {
        let name = LENGTHS[self.file];
        let range = self.range.map_or(String::new(), |(first, last)| {
            format!("Range: bytes={first}-{last}\r\n")
        });
        format!("GET /{name} HTTP/1.1\r\nHost: test\r\n{range}\r\n")
    }

    /// The part of the file, if the whole or a part is sent.
    fn part(&self, status: u16) -> Vec<u8> {
        let bytes = numbered(LENGTHS[self.file]);
        match (status, self.range) {
            (200, _) => bytes,
            (206, Some((first, last))) => bytes[first..bytes.len().min(last + 1)].to_vec(),
            (416, _) => b"Range Not Satisfiable\n".to_vec(),
            _ => panic!("status {status} for {self:?}"),
        }
    }
}

async fn check(case: &Case, server: &Running) -> Result<(), TestCaseError> {
    let mut client = match case.slow {
        // Less than a segment of the loopback, 64 KiB, would take a delayed acknowledgement for each.
        true => Client::with_buffer(server.address, 128 << 10).await,
        false => Client::connect(server.address).await,
    };
    let requests: Vec<String> = case.asks.iter().map(Ask::request).collect();
    if let Some(bytes) = case.leaves {
        let sent = if case.pipelined { requests.len() } else { 1 };
        // Where there are fewer bytes the connection ends with the last response, and not when it has been idle.
        let (last, before) = requests[..sent].split_last().unwrap();
        let last = last.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        client.send(&(before.concat() + &last)).await;
        let mut read = Vec::new();
        let _ = client
            .stream
            .take(bytes as u64)
            .read_to_end(&mut read)
            .await;
        return Ok(());
    }
    if case.pipelined {
        client.send(&requests.concat()).await;
    }
    for (ask, request) in case.asks.iter().zip(&requests) {
        if !case.pipelined {
            client.send(request).await;
        }
        let (complete, response) = match client.response().await {
            Ok(response) => (true, response),
            Err(response) if response.head.is_empty() => {
                prop_assert!(!case.middleware.is_complete(), "no response to {ask:?}");
                return Ok(());
            }
            Err(response) => (false, response),
        };
        let expected = case.middleware.expected(ask.part(response.status));
        let body = response.body;
        if complete {
            let right = body == expected || !case.middleware.is_in_order();
            prop_assert!(right, "{ask:?}: {} of {} bytes", body.len(), expected.len());
        } else {
            prop_assert!(
                !case.middleware.is_complete(),
                "{ask:?} broke at {}",
                body.len()
            );
            if case.middleware.is_in_order() {
                prop_assert!(
                    expected.starts_with(&body),
                    "{ask:?}: wrong up to {}",
                    body.len()
                );
            }
            return Ok(());
        }
    }
    Ok(())
}

#[test]
fn the_right_bytes_or_a_broken_connection() {
    let folder = Folder::new("property");
    for length in LENGTHS {
        folder.write(&length.to_string(), numbered(length));
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let checked = runner.run(&case(), |case| {
        runtime.block_on(async {
            let middleware = case.middleware;
            let change = move |request: Request, next: Next| async move {
                middleware.apply(next.run(request).await).await
            };
            let router = Router::new()
                .fallback_service(ServeFolder::open(&folder.path).unwrap())
                .layer(from_fn(change));
            let server = Running::start(router, |server| server).await;
            check(&case, &server).await
        })
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}
