//! One response that its client does not read, on an HTTP/2 connection that lives: what it holds is freed, and its
//! producer told, by the policy of that response.

use crate::support::soon;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::routing::get;
use bytes::Bytes;
use futures::{StreamExt, stream};
use h2::RecvStream;
use h2::client::SendRequest;
use hangup::http::{Exchange, GoneReason, StallBody, producer_with_policy};
use hangup::{Monitor, MonitoredListener, StallPolicy};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Long enough for a client on a busy machine, which reads late, not to count as stalled.
const WINDOW: Duration = Duration::from_secs(3);

/// Bytes. The default, 65 535, is that of one stream: one that is not read would use up all of it.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// What a handler's response holds. It tells of its drop.
struct Held(UnboundedSender<&'static str>, &'static str);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

/// An endless body that holds something.
fn endless(held: Held) -> Body {
    let chunk = Bytes::from_static(&[7; 1000]);
    Body::from_stream(stream::repeat_with(move || {
        let _ = &held;
        Ok::<_, Infallible>(chunk.clone())
    }))
}

/// A server, what its responses have dropped, and how its exchanges and producers ended.
async fn serve() -> (
    SocketAddr,
    UnboundedReceiver<&'static str>,
    UnboundedReceiver<GoneReason>,
) {
    let (drops, dropped) = unbounded_channel();
    let (ends, ended) = unbounded_channel();
    let policy = StallPolicy::new(1000, WINDOW);
    let body = {
        let drops = drops.clone();
        async move || Body::new(StallBody::new(endless(Held(drops, "body")), policy).unwrap())
    };
    let exchange = {
        let (drops, ends) = (drops.clone(), ends.clone());
        async move |ConnectInfo(monitor): ConnectInfo<Monitor>| {
            let (exchange, guard) = Exchange::new(&monitor);
            tokio::spawn(async move { ends.send(exchange.gone().await) });
            let body = endless(Held(drops, "exchange"));
            Body::new(guard.body_with_policy(body, policy).unwrap())
        }
    };
    let items = async move |ConnectInfo(monitor): ConnectInfo<Monitor>| {
        // The unit is an item here.
        let policy = StallPolicy::new(1, WINDOW);
        let (mut producer, items) = producer_with_policy(&monitor, 1, policy).unwrap();
        tokio::spawn(async move {
            let _held = Held(drops, "producer");
            loop {
                if let Err(error) = producer.send(Bytes::from_static(&[7; 16_384])).await {
                    return ends.send(error.reason().clone());
                }
            }
        });
        Body::from_stream(items)
    };
    let router = Router::new()
        .route("/body", get(body))
        .route("/exchange", get(exchange))
        .route("/items", get(items));
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<Monitor>();
    tokio::spawn(axum::serve(listener, service).into_future());
    (address, dropped, ended)
}

async fn connect(address: SocketAddr, window: u32) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    builder.initial_connection_window_size(CONNECTION_WINDOW);
    let (requests, connection) = builder.handshake(stream).await.unwrap();
    // It reads the connection and answers pings for as long as the client lives.
    tokio::spawn(async { drop(connection.await) });
    requests
}

async fn ask(requests: &SendRequest<Bytes>, path: &str) -> RecvStream {
    let request = Request::get(format!("http://test{path}"));
    let mut ready = requests.clone().ready().await.unwrap();
    let (response, _) = ready.send_request(request.body(()).unwrap(), true).unwrap();
    response.await.unwrap().into_body()
}

/// Each kind of response with a policy, unread: with a window that is closed from the beginning, and with one
/// that fills up.
#[tokio::test]
async fn unread_responses_are_freed() {
    tokio::join!(unread_responses(0), unread_responses(65_535));
}

async fn unread_responses(window: u32) {
    let (address, mut dropped, mut ended) = serve().await;
    let requests = connect(address, window).await;
    let mut unread = Vec::new();
    for path in ["/body", "/exchange", "/items"] {
        unread.push(soon("a response", ask(&requests, path)).await);
    }
    let mut drops = Vec::new();
    for _ in &unread {
        drops.push(soon("a drop", dropped.recv()).await.unwrap());
    }
    drops.sort_unstable();
    assert_eq!(drops, ["body", "exchange", "producer"], "window {window}");
    for _ in 0..2 {
        let reason = soon("the end", ended.recv()).await;
        assert_eq!(reason, Some(GoneReason::Stalled), "window {window}");
    }
    // A window of zero cannot be opened for one stream alone.
    unread.truncate(if window == 0 { 0 } else { unread.len() });
    // A client that reads on now does not take what came for the whole response.
    for stream in &mut unread {
        let end = soon("the end of a stream", async {
            while let Some(data) = stream.data().await {
                let length = data?.len();
                stream.flow_control().release_capacity(length)?;
            }
            Ok::<_, h2::Error>(())
        });
        assert!(end.await.unwrap_err().is_reset(), "window {window}");
    }
}

/// A client that reads is left alone, for longer than a window, beside one that does not.
#[tokio::test]
async fn responses_that_are_read_go_on() {
    let (address, mut dropped, _ended) = serve().await;
    let requests = connect(address, 65_535).await;
    let _unread = soon("a response", ask(&requests, "/body")).await;
    for path in ["/exchange", "/items"] {
        let mut read = soon("a response", ask(&requests, path)).await;
        tokio::spawn(async move {
            loop {
                let data = read.data().await.unwrap().unwrap();
                read.flow_control().release_capacity(data.len()).unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    assert_eq!(soon("a drop", dropped.recv()).await, Some("body"));
    // They have been read for a window already.
    let more = tokio::time::timeout(WINDOW, dropped.recv()).await;
    assert!(more.is_err(), "{more:?} was read");
}

/// The time in which the body itself has nothing to say is not the client's.
#[tokio::test(start_paused = true)]
async fn a_slow_producer_is_no_slow_client() {
    let policy = StallPolicy::new(1000, WINDOW);
    let frames = stream::unfold(0, async |sent| {
        tokio::time::sleep(WINDOW * 3).await;
        (sent < 5).then(|| (Ok::<_, Infallible>(Bytes::from_static(b"token")), sent + 1))
    });
    let body = StallBody::new(Body::from_stream(frames.boxed()), policy).unwrap();
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 25);
}
