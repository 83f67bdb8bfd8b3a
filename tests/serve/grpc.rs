//! gRPC, by tonic, on the server: the frames of a busy client stay below the limit of control frames.

use crate::Running;
use crate::support::raw_messages::Raw;
use crate::support::soon;
use bytes::Bytes;
use futures::future::{BoxFuture, Ready, ready};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{NamedService, ServerStreamingService, StreamingService};
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

/// Many times the default of `max_control_frames`.
const MESSAGES: usize = 5000;

const MESSAGE: Bytes = Bytes::from_static(b"a message");

/// Sends messages, or sends each message back.
#[derive(Clone)]
pub(crate) struct Messages;

impl NamedService for Messages {
    const NAME: &'static str = "test.Messages";
}

impl Service<http::Request<Body>> for Messages {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        async move {
            let mut grpc = tonic::server::Grpc::new(Raw);
            Ok(match request.uri().path() {
                "/test.Messages/Send" => grpc.server_streaming(Self, request).await,
                _ => grpc.streaming(Self, request).await,
            })
        }
        .boxed()
    }
}

type Answer = Ready<Result<Response<BoxStream<'static, Result<Bytes, Status>>>, Status>>;

impl ServerStreamingService<Bytes> for Messages {
    type Response = Bytes;
    type ResponseStream = BoxStream<'static, Result<Bytes, Status>>;
    type Future = Answer;

    fn call(&mut self, _: Request<Bytes>) -> Answer {
        let messages = stream::repeat(MESSAGE).take(MESSAGES).map(Ok);
        ready(Ok(Response::new(messages.boxed())))
    }
}

impl StreamingService<Bytes> for Messages {
    type Response = Bytes;
    type ResponseStream = BoxStream<'static, Result<Bytes, Status>>;
    type Future = Answer;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Answer {
        ready(Ok(Response::new(request.into_inner().boxed())))
    }
}

async fn count(messages: Response<Streaming<Bytes>>) -> usize {
    let mut messages = messages.into_inner();
    let mut count = 0;
    while let Some(message) = soon("a message", messages.next()).await {
        assert_eq!(message.unwrap(), MESSAGE);
        count += 1;
    }
    count
}

/// A long call in each direction, and many short ones.
async fn calls(channel: Channel) {
    let mut client = tonic::client::Grpc::new(channel);
    let path = |method: &str| http::uri::PathAndQuery::try_from(method).unwrap();
    soon("the connection", client.ready()).await.unwrap();
    let request = Request::new(MESSAGE);
    let sent = client.server_streaming(request, path("/test.Messages/Send"), Raw);
    let sent = soon("the response", sent).await.unwrap();
    assert_eq!(count(sent).await, MESSAGES);
    for messages in [MESSAGES].into_iter().chain([1; 500]) {
        soon("the connection", client.ready()).await.unwrap();
        let request = Request::new(stream::repeat(MESSAGE).take(messages));
        let echoed = client.streaming(request, path("/test.Messages/Echo"), Raw);
        let echoed = soon("the response", echoed).await.unwrap();
        assert_eq!(count(echoed).await, messages);
    }
}

#[tokio::test]
async fn a_busy_client() {
    let router = Routes::new(Messages).into_axum_router();
    let server = Running::start(router, |server| server.h2c(true)).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let endpoints = [
        endpoint.clone(),
        // It measures the round trip with a PING whenever data arrive, and pings when it is idle.
        endpoint
            .clone()
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(Duration::from_millis(100))
            .keep_alive_while_idle(true),
        // It lets half a kilobyte through at a time.
        endpoint.initial_stream_window_size(512),
    ];
    for endpoint in endpoints {
        let channel = soon("the connection", endpoint.connect()).await.unwrap();
        calls(channel).await;
    }
    assert_eq!(server.stop().await.limits(), []);
}
