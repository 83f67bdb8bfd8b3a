//! Connections that switch to another protocol. The exchange of the request ends with the connection, and not with the 101.

use crate::support::soon;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::any;
use futures::FutureExt;
use hangup::axum::follow;
use hangup::http::{Exchange, GoneReason};
use hangup::{CloseReason, Monitor, MonitoredListener};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Each exchange with its upgraded connection.
type Sockets = UnboundedSender<(Exchange, TokioIo<Upgraded>)>;

async fn switch(State(sockets): State<Sockets>, exchange: Exchange, request: Request) -> Response {
    let connect = request.method() == "CONNECT";
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let upgraded = TokioIo::new(upgrade.await.unwrap());
        let _ = sockets.send((exchange, upgraded));
    });
    let response = Response::builder();
    let response = match connect {
        true => response,
        false => response
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "websocket"),
    };
    response.body(Body::empty()).unwrap()
}

async fn serve() -> (SocketAddr, UnboundedReceiver<(Exchange, TokioIo<Upgraded>)>) {
    let (sockets, upgraded) = unbounded_channel();
    let router = Router::new()
        .fallback(any(switch))
        .layer(from_fn(follow))
        .with_state(sockets);
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<Monitor>();
    tokio::spawn(axum::serve(listener, service).into_future());
    (address, upgraded)
}

/// A client that has read the head of the answer.
async fn client(address: SocketAddr, request: &str, answer: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon("the answer", client.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with(answer), "{head}");
    client
}

const WEBSOCKET: &str = "GET /socket HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\n\
                         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const TUNNEL: &str = "CONNECT test:443 HTTP/1.1\r\nhost: test:443\r\n\r\n";

#[tokio::test]
async fn the_exchange_ends_with_the_connection() {
    for (request, answer) in [(WEBSOCKET, "HTTP/1.1 101"), (TUNNEL, "HTTP/1.1 200")] {
        let (address, mut upgraded) = serve().await;
        let mut client = client(address, request, answer).await;
        let (exchange, mut server) = soon("an upgrade", upgraded.recv()).await.unwrap();
        let token = exchange.cancellation_token();
        for _ in 0..3 {
            server.write_all(b"event").await.unwrap();
            let mut event = [0; 5];
            soon("an event", client.read_exact(&mut event))
                .await
                .unwrap();
            client.write_all(&event).await.unwrap();
            soon("the echo", server.read_exact(&mut event))
                .await
                .unwrap();
            assert_eq!(exchange.gone_reason(), None, "{answer}");
            assert_eq!(exchange.gone().now_or_never(), None);
            assert!(!token.is_cancelled());
        }
        drop(client);
        let over = GoneReason::Connection(CloseReason::PeerClosed);
        assert_eq!(soon("the end", exchange.gone()).await, over, "{answer}");
        soon("the token", token.cancelled()).await;
    }
}

/// Our own end of it is a drop.
#[tokio::test]
async fn the_server_ends_the_connection() {
    let (address, mut upgraded) = serve().await;
    let _client = client(address, WEBSOCKET, "HTTP/1.1 101").await;
    let (exchange, server) = soon("an upgrade", upgraded.recv()).await.unwrap();
    drop(server);
    let over = GoneReason::Connection(CloseReason::Dropped);
    assert_eq!(soon("the end", exchange.gone()).await, over);
}

/// axum's own WebSockets over a monitored listener: the monitor and the exchange of the request that was upgraded end with the
/// connection, and not with the 101.
#[tokio::test]
async fn a_websocket_of_axum_is_monitored_to_its_end() {
    use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
    let (sockets, mut upgraded) = unbounded_channel::<(Monitor, Exchange, WebSocket)>();
    let join = async move |monitor: Monitor, exchange: Exchange, upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async move |socket| {
            let _ = sockets.send((monitor, exchange, socket));
        })
    };
    let router = Router::new()
        .route("/socket", any(join))
        .layer(from_fn(follow));
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<Monitor>();
    tokio::spawn(axum::serve(listener, service).into_future());

    for (resets, reason) in [(false, CloseReason::PeerClosed), (true, CloseReason::Reset)] {
        let mut client = client(address, WEBSOCKET, "HTTP/1.1 101").await;
        let (monitor, exchange, mut socket) = soon("an upgrade", upgraded.recv()).await.unwrap();
        socket.send(Message::text("event")).await.unwrap();
        let mut frame = [0; 7];
        soon("a frame", client.read_exact(&mut frame))
            .await
            .unwrap();
        assert_eq!(&frame, b"\x81\x05event");
        assert!(!monitor.is_closed());
        assert_eq!(exchange.gone_reason(), None);
        if resets {
            client.set_zero_linger().unwrap();
        }
        drop(client);
        // Nobody reads the socket.
        assert_eq!(soon("the close", monitor.closed()).await, reason);
        let over = GoneReason::Connection(reason.clone());
        assert_eq!(soon("the end", exchange.gone()).await, over);
        // After a FIN alone a write may still go out: a read of the connection is pending (invariant 10).
        if resets {
            let refused = socket.send(Message::text("event")).await.unwrap_err();
            assert_eq!(CloseReason::find(&refused), Some(reason));
        }
    }
}
