//! tonic with `hangup`: a server that streams, and clients which leave in the middle. The messages are raw
//! bytes: nothing here needs a compiler of protocol buffers.

use crate::support::raw_messages::Raw;
use crate::support::soon;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use hangup::http::{GoneReason, producer};
use hangup::tonic::{ConnectInfo, ConnectionLayer, Incoming, monitor};
use hangup::{CloseReason, Monitor, MonitoredListener};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::{NamedService, ServerStreamingService};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

/// What the service tells of each call.
enum Told {
    Begun(Monitor, Option<SocketAddr>),
    /// The producer has stopped.
    Stopped(GoneReason),
}

#[derive(Clone)]
struct Tokens(UnboundedSender<Told>);

impl NamedService for Tokens {
    const NAME: &'static str = "test.Tokens";
}

impl Service<http::Request<Body>> for Tokens {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let tokens = self.clone();
        async move {
            let mut grpc = tonic::server::Grpc::new(Raw);
            Ok(grpc.server_streaming(tokens, request).await)
        }
        .boxed()
    }
}

impl ServerStreamingService<Bytes> for Tokens {
    type Response = Bytes;
    type ResponseStream = BoxStream<'static, Result<Bytes, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    /// Tokens without end, from a thread.
    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let info = request.extensions().get::<ConnectInfo>().unwrap();
        // tonic's own way to the address, by the layer.
        assert_eq!(request.remote_addr(), info.inner().remote_addr());
        let monitor = monitor(&request).unwrap();
        let begun = Told::Begun(monitor.clone(), request.remote_addr());
        self.0.send(begun).unwrap();
        let (mut producer, tokens) = producer(&monitor, 1);
        let told = self.0.clone();
        std::thread::spawn(move || {
            let token = Bytes::from_static(&[b'x'; 16384]);
            let reason = loop {
                if let Err(error) = producer.blocking_send(Ok(token.clone())) {
                    break error.reason().clone();
                }
            };
            told.send(Told::Stopped(reason)).unwrap();
        });
        ready(Ok(Response::new(tokens.boxed())))
    }
}

async fn serve() -> (SocketAddr, UnboundedReceiver<Told>) {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, told) = unbounded_channel();
    let server = Server::builder().layer(ConnectionLayer::new());
    let server = { server }.add_service(Tokens(sender));
    tokio::spawn(server.serve_with_incoming(Incoming::new(listener)));
    (address, told)
}

async fn call(channel: &Channel) -> Streaming<Bytes> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    soon("the connection", client.ready()).await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/test.Tokens/Stream");
    let call = client.server_streaming(Request::new(Bytes::new()), path, Raw);
    let mut tokens = soon("the response", call).await.unwrap().into_inner();
    for _ in 0..3 {
        let token = soon("a token", tokens.next()).await.unwrap().unwrap();
        assert_eq!(token.len(), 16384);
    }
    tokens
}

async fn begun(told: &mut UnboundedReceiver<Told>) -> (Monitor, Option<SocketAddr>) {
    match soon("the service", told.recv()).await {
        Some(Told::Begun(monitor, address)) => (monitor, address),
        _ => panic!("the call has not begun"),
    }
}

async fn stopped(told: &mut UnboundedReceiver<Told>) -> GoneReason {
    match soon("the producer's end", told.recv()).await {
        Some(Told::Stopped(reason)) => reason,
        _ => panic!("the producer has not stopped"),
    }
}

/// A client of two calls cancels one: its producer stops, and the connection stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_cancelled() {
    let (address, mut told) = serve().await;
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let tokens = call(&channel).await;
    let (monitor, client) = begun(&mut told).await;
    assert_eq!(client.unwrap().ip(), address.ip());
    drop(tokens);
    assert_eq!(stopped(&mut told).await, GoneReason::Cancelled);
    assert!(!monitor.is_closed());

    // The same connection serves the next call.
    let tokens = call(&channel).await;
    assert_eq!(begun(&mut told).await.1, client);
    assert!(!monitor.is_closed());
    drop(tokens);
    stopped(&mut told).await;
}

/// A client leaves in the middle of a stream, with its connection.
#[tokio::test]
async fn a_client_leaves() {
    let (address, mut told) = serve().await;
    // In a runtime of its own, which ends, and with it the connection.
    let client = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let channel = Channel::from_shared(format!("http://{address}")).unwrap();
            let channel = channel.connect().await.unwrap();
            call(&channel).await
        })
    });
    let (monitor, _) = begun(&mut told).await;
    let GoneReason::Connection(reason) = stopped(&mut told).await else {
        panic!("the connection is over");
    };
    assert!(
        matches!(reason, CloseReason::PeerClosed | CloseReason::Reset),
        "{reason:?}"
    );
    assert_eq!(monitor.close_reason(), Some(reason));
    drop(client.join().unwrap());
}
