//! What a program's own tests look like: an SSE handler and a line protocol, without a socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures::{FutureExt, StreamExt};
use hangup::axum::Peer;
use hangup::http::{ProducerStream, producer};
use hangup::test_util::{Remote, scripted};
use hangup::{CloseReason, Monitor, MonitoredStream};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::ServiceExt;

/// The handler under test: tells the program why it stopped.
async fn events(
    monitor: Monitor,
    State(stopped): State<UnboundedSender<(u64, CloseReason)>>,
) -> Sse<ProducerStream<Result<Event, Infallible>>> {
    let (mut producer, items) = producer(&monitor, 1);
    tokio::spawn(async move {
        let mut made = 0;
        while producer
            .send(Ok(Event::default().data(made.to_string())))
            .await
            .is_ok()
        {
            made += 1;
        }
        let reason = monitor.closed().await;
        stopped.send((made, reason)).unwrap();
    });
    Sse::new(items)
}

async fn call<C>(
    info: C,
) -> (
    axum::response::Response,
    UnboundedReceiver<(u64, CloseReason)>,
)
where
    C: Clone + Send + Sync + 'static,
{
    let (sender, stopped) = unbounded_channel();
    let router = Router::new()
        .route("/events", get(events))
        .layer(MockConnectInfo(info))
        .with_state(sender);
    let request = Request::get("/events").body(Body::empty()).unwrap();
    (router.oneshot(request).await.unwrap(), stopped)
}

async fn stops_with(
    response: axum::response::Response,
    remote: Remote,
    stopped: &mut UnboundedReceiver<(u64, CloseReason)>,
) {
    let mut body = response.into_body().into_data_stream();
    for number in 0..3 {
        let event = body.next().await.unwrap().unwrap();
        assert_eq!(event, format!("data: {number}\n\n"));
    }
    assert!(stopped.recv().now_or_never().is_none());
    remote.hang_up(CloseReason::TimedOut);
    let (made, reason) = stopped.recv().await.unwrap();
    assert!((3..=5).contains(&made), "{made}");
    assert_eq!(reason, CloseReason::TimedOut);
}

#[tokio::test]
async fn an_sse_handler_stops_when_its_client_goes() {
    let (monitor, remote) = Monitor::for_test();
    let (response, mut stopped) = call(monitor).await;
    assert_eq!(response.status(), StatusCode::OK);
    stops_with(response, remote, &mut stopped).await;

    let (monitor, remote) = Monitor::for_test();
    let address = SocketAddr::from(([192, 0, 2, 1], 50_000));
    let (response, mut stopped) = call(Peer::new(monitor, address)).await;
    stops_with(response, remote, &mut stopped).await;
}

/// The whole of it, by the clock on the wall: nothing sleeps and nothing listens. One of ten attempts has to be fast:
/// the machine may take the thread away.
#[test]
fn it_takes_less_than_100_ms() {
    let took = (0..10).map(|_| {
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (monitor, remote) = Monitor::for_test();
            let (response, mut stopped) = call(monitor).await;
            stops_with(response, remote, &mut stopped).await;
        });
        began.elapsed()
    });
    let fastest = took.min().unwrap();
    println!("an SSE handler was tested in {fastest:?}");
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
}

/// Waits for a command, and is idle until then.
async fn serve(mut stream: MonitoredStream<DuplexStream>) -> Result<u8, CloseReason> {
    let monitor = stream.monitor();
    let command = tokio::select! {
        reason = monitor.closed() => return Err(reason),
        command = stream.read_u8() => command.map_err(|error| CloseReason::from(&error))?,
    };
    stream
        .write_all(&[command + 1])
        .await
        .map_err(|error| CloseReason::from(&error))?;
    Ok(command)
}

/// Over a bare `duplex` nobody can tell an idle handler.
#[tokio::test]
async fn an_idle_handler_over_duplex_is_told() {
    let (io, mut client) = tokio::io::duplex(64);
    let (stream, _remote) = scripted(io);
    client.write_u8(1).await.unwrap();
    assert_eq!(serve(stream).await, Ok(1));
    assert_eq!(client.read_u8().await.unwrap(), 2);

    let (io, _client) = tokio::io::duplex(64);
    let (stream, remote) = scripted(io);
    let handler = tokio::spawn(serve(stream));
    tokio::task::yield_now().await;
    assert!(!handler.is_finished());
    remote.hang_up(CloseReason::Unreachable);
    assert_eq!(handler.await.unwrap(), Err(CloseReason::Unreachable));
}

/// As a FIN after our own shutdown.
#[tokio::test]
async fn a_hang_up_after_our_shutdown_is_the_orderly_end() {
    let (io, _client) = tokio::io::duplex(64);
    let (mut stream, remote) = scripted(io);
    stream.shutdown().await.unwrap();
    remote.hang_up(CloseReason::PeerClosed);
    assert_eq!(stream.close_reason(), Some(CloseReason::Finished));
}

/// Without a listener and without a stand-in the client gets a message that says what to do.
#[tokio::test]
async fn a_handler_without_either_says_what_is_missing() {
    let (response, _) = call("something else").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = axum::body::to_bytes(response.into_body(), 1024)
        .await
        .unwrap();
    let body = String::from_utf8_lossy(&body);
    assert!(
        body.contains("into_make_service_with_connect_info"),
        "{body}"
    );
}
