//! Requests: exchanges, bodies and producers by hand, and served by axum and tonic.

use crate::Case;
use crate::support::soon;
use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt;
use hangup::axum::{Peer, follow};
use hangup::http::{Exchange, GoneReason, Producer, StallBody, producer, producer_with_policy};
use hangup::tonic::{ConnectInfo, Incoming};
use hangup::{MonitoredListener, MonitoredStream, StallPolicy, UntilClosedExt};
use heapdelta::{LeakError, LeakTest, Report};
use http_body_util::{BodyExt, Full};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tonic::transport::server::Connected;

pub(crate) const CASES: &[Case] = &[
    ("exchange_that_is_answered", exchange_that_is_answered),
    ("exchange_of_a_websocket", exchange_of_a_websocket),
    ("exchange_whose_request_ends", exchange_whose_request_ends),
    (
        "body_that_ends_with_the_connection",
        body_that_ends_with_the_connection,
    ),
    (
        "producer_on_a_connection_that_closes",
        producer_on_a_connection_that_closes,
    ),
    ("producer_in_a_thread", producer_in_a_thread),
    ("responses_that_are_not_read", responses_that_are_not_read),
    ("axum_request", axum_request),
    ("axum_client_that_leaves", axum_client_that_leaves),
    ("axum_pipelined_head", axum_pipelined_head),
    ("tonic_connection", tonic_connection),
];

fn connection() -> (MonitoredStream<DuplexStream>, DuplexStream) {
    let (ours, peer) = tokio::io::duplex(64);
    (MonitoredStream::unwatched(ours), peer)
}

fn exchange_of_a_websocket(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let (stream, _peer) = connection();
        let (exchange, guard) = Exchange::new(&stream.monitor());
        let token = exchange.cancellation_token();
        guard.upgraded();
        assert!(!exchange.is_gone());
        drop(stream);
        token.cancelled().await;
    })
}

/// Responses with a policy: given up, taken, and dropped before either.
fn responses_that_are_not_read(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let (stream, _peer) = connection();
        let monitor = stream.monitor();
        let policy = StallPolicy::new(1, Duration::from_millis(12));
        let (exchange, guard) = Exchange::new(&monitor);
        let unread = guard
            .body_with_policy(Full::<Bytes>::from("unread"), policy)
            .unwrap();
        let (mut producer, items) = producer_with_policy(&monitor, 1, policy).unwrap();
        producer.send(0).await.unwrap();
        assert_eq!(soon("a stall", producer.gone()).await, GoneReason::Stalled);
        assert_eq!(soon("a stall", exchange.gone()).await, GoneReason::Stalled);
        drop((unread, items));
        let policy = StallPolicy::new(1, Duration::from_secs(60));
        let taken = StallBody::new(Full::<Bytes>::from("taken"), policy).unwrap();
        assert_eq!(taken.collect().await.unwrap().to_bytes(), "taken");
        drop(StallBody::new(Full::<Bytes>::from("dropped"), policy).unwrap());
    })
}

fn exchange_that_is_answered(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let (stream, _peer) = connection();
        let monitor = stream.monitor();
        let (exchange, guard) = Exchange::new(&monitor);
        let token = exchange.cancellation_token();
        assert!(!exchange.is_gone() && exchange.gone_reason().is_none());
        assert!(!exchange.monitor().is_closed());
        guard.answered();
        drop(stream);
        assert_eq!(exchange.gone().await, GoneReason::Answered);
        token.cancelled().await;
    })
}

/// On a connection that stays open: HTTP/2 resets one stream of many.
fn exchange_whose_request_ends(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(
        async || connection(),
        async |(stream, _)| {
            let (exchange, guard) = Exchange::new(&stream.monitor());
            let (gone, token) = (exchange.gone(), exchange.cancellation_token());
            drop(guard.body(Full::new(Bytes::from_static(b"half sent"))));
            gone.await;
            token.cancelled().await;
        },
    )
}

fn body_that_ends_with_the_connection(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let (stream, _peer) = connection();
        let mut body = Full::new(Bytes::from_static(b"chunk")).until_closed(&stream.monitor());
        let (_, guard) = Exchange::new(&stream.monitor());
        let whole = guard.body(Full::new(Bytes::from_static(b"whole")));
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "whole");
        drop(stream);
        assert!(body.frame().await.is_none_or(|frame| frame.is_err()));
    })
}

fn producer_on_a_connection_that_closes(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let (stream, _peer) = connection();
        let (mut producer, mut items) = producer(&stream.monitor(), 2);
        producer.send(vec![1_u8; 100]).await.unwrap();
        assert_eq!(items.next().await.unwrap().len(), 100);
        assert!(!producer.is_gone() && producer.gone_reason().is_none());
        producer.send(vec![1_u8; 100]).await.unwrap();
        drop(stream);
        producer.gone().await;
        assert!(producer.monitor().is_closed());
        let error = producer.send(vec![1_u8; 100]).await.unwrap_err();
        assert!(matches!(error.reason(), GoneReason::Connection(_)));
        assert_eq!(error.into_inner().len(), 100);
    })
}

fn producer_in_a_thread(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let (stream, _peer) = connection();
        let (mut producer, mut items) = producer(&stream.monitor(), 1);
        let thread = std::thread::spawn(move || while producer.blocking_send(1).is_ok() {});
        items.next().await.unwrap();
        drop((items, stream));
        thread.join().unwrap();
    })
}

type Desk = axum::extract::State<UnboundedSender<(Exchange, Producer<Result<Bytes, axum::Error>>)>>;
type Exchanges = UnboundedReceiver<(Exchange, Producer<Result<Bytes, axum::Error>>)>;

/// A server whose one handler streams what the test sends.
struct Served {
    address: SocketAddr,
    exchanges: Exchanges,
    server: JoinHandle<std::io::Result<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn served() -> Served {
    let (sender, exchanges) = unbounded_channel();
    let handler = async |axum::extract::State(desk): Desk, exchange: Exchange| {
        let (producer, items) = producer(exchange.monitor(), 1);
        desk.send((exchange, producer)).unwrap();
        axum::body::Body::from_stream(items)
    };
    let router = Router::new()
        .route("/", get(handler))
        .layer(from_fn(follow))
        .with_state(sender);
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<Peer>();
    let server = tokio::spawn(axum::serve(listener, service).into_future());
    Served {
        address,
        exchanges,
        server,
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn axum_request(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(served, async |served| {
        let mut client = TcpStream::connect(served.address).await.unwrap();
        client.write_all(GET).await.unwrap();
        let request = soon("the handler", served.exchanges.recv()).await;
        let (exchange, mut producer) = request.unwrap();
        producer
            .send(Ok(Bytes::from_static(b"token")))
            .await
            .unwrap();
        drop(producer);
        let mut response = Vec::new();
        client.read_to_end(&mut response).await.unwrap();
        drop(client);
        soon("the end", exchange.gone()).await
    })
}

fn axum_client_that_leaves(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(served, async |served| {
        let mut client = TcpStream::connect(served.address).await.unwrap();
        client.write_all(GET).await.unwrap();
        let request = soon("the handler", served.exchanges.recv()).await;
        let (exchange, producer) = request.unwrap();
        drop(client);
        soon("the FIN", exchange.gone()).await;
        drop(producer);
    })
}

/// A HEAD behind a request whose answer is never read. The handler's part of it ends with the connection.
fn axum_pipelined_head(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(served, async |served| {
        let mut client = TcpStream::connect(served.address).await.unwrap();
        let head = b"HEAD / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        client.write_all(head).await.unwrap();
        client.write_all(head).await.unwrap();
        let first = soon("the handler", served.exchanges.recv()).await.unwrap();
        let second = soon("the handler", served.exchanges.recv()).await.unwrap();
        drop(client);
        soon("the FIN", first.0.gone()).await;
        soon("the FIN", second.0.gone()).await;
    })
}

fn tonic_connection(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let listener = async || {
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        Incoming::new(listener)
    };
    test.run_async_with(listener, async |incoming| {
        let address = incoming.get_ref().local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), incoming.next());
        let stream = accepted.unwrap().unwrap();
        let info: ConnectInfo = stream.connect_info();
        assert!(info.inner().remote_addr().is_some());
        drop(client);
        soon("the FIN", info.monitor().closed()).await
    })
}
