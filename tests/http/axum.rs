//! axum with `hangup`: the listener, the extractors and the middleware, with clients of both HTTP versions.

use crate::support::soon;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use futures::StreamExt;
use hangup::axum::{Peer, follow};
use hangup::http::{Exchange, GoneReason, producer};
use hangup::{CloseReason, Monitor, MonitoredListener};
use std::future::pending;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Each exchange, as its handler gets it.
type Exchanges = UnboundedReceiver<Exchange>;

async fn listener() -> (MonitoredListener, SocketAddr) {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serve(router: Router) -> SocketAddr {
    let (listener, address) = listener().await;
    let service = router.into_make_service_with_connect_info::<Peer>();
    tokio::spawn(axum::serve(listener, service).into_future());
    address
}

/// A server whose handlers pass their exchange on.
async fn followed() -> (SocketAddr, Exchanges) {
    type Desk = State<UnboundedSender<Exchange>>;
    let (sender, exchanges) = unbounded_channel();
    let router = Router::new()
        .route(
            "/never",
            get(async |State(desk): Desk, exchange: Exchange| {
                desk.send(exchange).unwrap();
                pending::<()>().await
            }),
        )
        .route(
            "/whole",
            get(async |State(desk): Desk, exchange: Exchange| {
                desk.send(exchange).unwrap();
                "whole"
            }),
        )
        .route(
            "/nothing",
            get(async |State(desk): Desk, exchange: Exchange| {
                desk.send(exchange).unwrap();
                StatusCode::NO_CONTENT
            }),
        )
        .route(
            "/endless",
            get(async |State(desk): Desk, exchange: Exchange| {
                desk.send(exchange).unwrap();
                let chunks = futures::stream::once(async { Ok::<_, std::io::Error>("chunk") });
                Body::from_stream(chunks.chain(futures::stream::pending()))
            }),
        )
        .layer(from_fn(follow))
        .with_state(sender);
    (serve(router).await, exchanges)
}

async fn next(exchanges: &mut Exchanges) -> Exchange {
    soon("the handler", exchanges.recv()).await.unwrap()
}

async fn gone(exchange: &Exchange) -> GoneReason {
    let token = exchange.cancellation_token();
    let reason = soon("the end of the exchange", exchange.gone()).await;
    assert!(exchange.is_gone());
    assert_eq!(exchange.gone_reason(), Some(reason.clone()));
    assert_eq!(exchange.gone().await, reason, "a late observer");
    soon("the token", token.cancelled()).await;
    assert!(exchange.cancellation_token().is_cancelled());
    reason
}

/// A client of HTTP/1.1.
struct Plain(TcpStream);

impl Plain {
    async fn ask(address: SocketAddr, method: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(stream)
    }

    /// Reads until `part` has come.
    async fn read(&mut self, part: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(part) {
            let bytes = soon("the response", self.0.read_buf(&mut read)).await;
            assert!(bytes.unwrap() > 0, "{}", String::from_utf8_lossy(&read));
        }
        String::from_utf8(read).unwrap()
    }
}

/// A client of HTTP/2, and its connection.
struct Http2 {
    requests: h2::client::SendRequest<Bytes>,
    connection: tokio::task::JoinHandle<()>,
}

impl Http2 {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Self {
            requests,
            connection,
        }
    }

    fn ask(&mut self, path: &str) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let request = http::Request::get(format!("http://test{path}"));
        let request = request.body(()).unwrap();
        self.requests.send_request(request, true).unwrap()
    }
}

const CONNECTION_CLOSED: GoneReason = GoneReason::Connection(CloseReason::PeerClosed);

#[tokio::test]
async fn extractors() {
    let router = Router::new()
        .route(
            "/monitor",
            get(async |monitor: Monitor| format!("{:?}", monitor.status())),
        )
        .route(
            "/peer",
            get(async |peer: Peer| format!("{} {}", peer.address, peer.monitor.is_closed())),
        )
        .route("/exchange", get(async |_: Exchange| "never"));
    let address = serve(router.clone()).await;
    let open = Plain::ask(address, "GET", "/monitor")
        .await
        .read("Open")
        .await;
    assert!(open.starts_with("HTTP/1.1 200"), "{open}");
    let mut client = Plain::ask(address, "GET", "/peer").await;
    let told = format!("{} false", client.0.local_addr().unwrap());
    client.read(&told).await;
    let refused = Plain::ask(address, "GET", "/exchange")
        .await
        .read("follow")
        .await;
    assert!(refused.starts_with("HTTP/1.1 500"), "{refused}");

    // By the monitor alone, and through axum's own wrapper of listeners.
    let (listener, address) = listener().await;
    let listener = listener.tap_io(|stream| stream.get_ref().set_nodelay(true).unwrap());
    let service = router
        .clone()
        .into_make_service_with_connect_info::<Monitor>();
    tokio::spawn(axum::serve(listener, service).into_future());
    Plain::ask(address, "GET", "/monitor")
        .await
        .read("Open")
        .await;
    let refused = Plain::ask(address, "GET", "/peer")
        .await
        .read("hangup::axum::Peer")
        .await;
    assert!(refused.starts_with("HTTP/1.1 500"), "{refused}");

    // Served without connect info.
    let (listener, address) = self::listener().await;
    tokio::spawn(axum::serve(listener, router.layer(from_fn(follow))).into_future());
    for path in ["/monitor", "/peer", "/exchange"] {
        let refused = Plain::ask(address, "GET", path)
            .await
            .read("no monitor")
            .await;
        assert!(refused.starts_with("HTTP/1.1 500"), "{refused}");
    }
}

#[tokio::test]
async fn http1_leaves_the_handler_and_the_body() {
    let (address, mut exchanges) = followed().await;
    let client = Plain::ask(address, "GET", "/never").await;
    let exchange = next(&mut exchanges).await;
    assert!(!exchange.is_gone() && !exchange.cancellation_token().is_cancelled());
    drop(client);
    assert_eq!(gone(&exchange).await, CONNECTION_CLOSED);

    let mut client = Plain::ask(address, "GET", "/endless").await;
    client.read("5\r\nchunk\r\n").await;
    let exchange = next(&mut exchanges).await;
    assert!(!exchange.is_gone());
    drop(client);
    assert_eq!(gone(&exchange).await, CONNECTION_CLOSED);
    assert!(exchange.monitor().is_closed());
}

/// Behind a pipelined request hyper sees nothing of the end; the monitor does.
#[tokio::test]
async fn http1_leaves_behind_a_pipelined_request() {
    let (address, mut exchanges) = followed().await;
    let mut client = Plain::ask(address, "GET", "/never").await;
    client
        .0
        .write_all(b"GET /never HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    let exchange = next(&mut exchanges).await;
    drop(client);
    assert_eq!(gone(&exchange).await, CONNECTION_CLOSED);
}

#[tokio::test]
async fn whole_responses_are_answered() {
    let (address, mut exchanges) = followed().await;
    for (method, path, part) in [
        ("GET", "/whole", "whole"),
        ("HEAD", "/whole", "200"),
        ("HEAD", "/endless", "200"),
        ("GET", "/nothing", "204"),
    ] {
        let mut client = Plain::ask(address, method, path).await;
        client.read(part).await;
        let exchange = next(&mut exchanges).await;
        assert_eq!(
            gone(&exchange).await,
            GoneReason::Answered,
            "{method} {path}"
        );
        drop(client);
        soon("the close", exchange.monitor().closed()).await;
        assert_eq!(
            exchange.gone_reason(),
            Some(GoneReason::Answered),
            "the first wins"
        );
    }
    let mut client = Http2::connect(address).await;
    let response = soon("the response", client.ask("/whole").0).await.unwrap();
    let body = soon("the body", response.into_body().data()).await;
    assert_eq!(body.unwrap().unwrap(), "whole");
    assert_eq!(
        gone(&next(&mut exchanges).await).await,
        GoneReason::Answered
    );
}

/// The client of two requests gives up one of them: before the response, or in the midst of it. Neither the
/// connection nor the other request is over.
#[tokio::test]
async fn http2_resets_one_of_many() {
    let (address, mut exchanges) = followed().await;
    let mut client = Http2::connect(address).await;
    let staying = client.ask("/never");
    let other = next(&mut exchanges).await;

    let (response, mut stream) = client.ask("/never");
    let exchange = next(&mut exchanges).await;
    stream.send_reset(h2::Reason::CANCEL);
    assert_eq!(gone(&exchange).await, GoneReason::Cancelled);
    drop(response);

    let response = soon("the response", client.ask("/endless").0)
        .await
        .unwrap();
    let mut body = response.into_body();
    assert_eq!(soon("data", body.data()).await.unwrap().unwrap(), "chunk");
    let exchange = next(&mut exchanges).await;
    assert!(!exchange.is_gone());
    drop(body); // h2 resets the stream
    assert_eq!(gone(&exchange).await, GoneReason::Cancelled);

    assert!(!other.is_gone() && !other.monitor().is_closed());
    client.connection.abort();
    assert_eq!(gone(&other).await, CONNECTION_CLOSED);
    drop(staying);
}

/// A producer on a blocking thread, whose HTTP/2 stream is reset: it makes no more than what has room, and one.
#[tokio::test(flavor = "multi_thread")]
async fn http2_resets_what_a_thread_produces_for() {
    type Made = (u64, GoneReason);
    let (sender, mut made) = unbounded_channel::<Made>();
    let tokens = get(
        async |State(desk): State<UnboundedSender<Made>>, monitor: Monitor| {
            let (mut producer, items) = producer(&monitor, 1);
            // Large ones: to a client that is sent many small frames it is an attack.
            let chunk = Bytes::from_static(&[0; 16384]);
            tokio::task::spawn_blocking(move || {
                for made in 1.. {
                    if let Err(error) =
                        producer.blocking_send(Ok::<_, std::io::Error>(chunk.clone()))
                    {
                        desk.send((made, error.reason().clone())).unwrap();
                        return;
                    }
                }
            });
            Body::from_stream(items)
        },
    );
    let address = serve(Router::new().route("/", tokens).with_state(sender)).await;
    let mut client = Http2::connect(address).await;
    let response = soon("the response", client.ask("/").0).await.unwrap();
    let mut body = response.into_body();
    soon("data", body.data()).await.unwrap().unwrap();
    drop(body);
    let (made, reason) = soon("the producer's end", made.recv()).await.unwrap();
    assert_eq!(reason, GoneReason::Cancelled);
    assert!(made > 0 && !client.connection.is_finished());
}

/// The client is there and reads nothing of the thread's work; then it leaves. The thread is blocked in its
/// send, and is woken.
#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_thread_is_woken() {
    let (sender, mut ended) = unbounded_channel::<GoneReason>();
    let (monitors, mut monitor) = unbounded_channel::<Monitor>();
    let endless = get(async move |monitor: Monitor| {
        monitors.send(monitor.clone()).unwrap();
        let (mut producer, items) = producer(&monitor, 1);
        let chunk = Bytes::from_static(&[0; 65536]);
        std::thread::spawn(move || {
            loop {
                if let Err(error) = producer.blocking_send(Ok::<_, std::io::Error>(chunk.clone())) {
                    sender.send(error.reason().clone()).unwrap();
                    return;
                }
            }
        });
        Body::from_stream(items)
    });
    let address = serve(Router::new().route("/", endless)).await;
    let client = Plain::ask(address, "GET", "/").await;
    let monitor = soon("the handler", monitor.recv()).await.unwrap();
    // Until the kernels take no more.
    let mut accepted = None;
    while accepted != Some(monitor.transfer().accepted) {
        accepted = Some(monitor.transfer().accepted);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(accepted > Some(0) && ended.is_empty());
    drop(client);
    let reason = soon("the producer's end", ended.recv()).await.unwrap();
    assert!(matches!(reason, GoneReason::Connection(_)), "{reason:?}");
}
