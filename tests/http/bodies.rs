//! Bodies, streams and producers that end with the connection; and hyper, served by hand.

use crate::support::soon;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use futures_test::task::new_count_waker;
use hangup::http::{
    BodyError, Exchange, Gone, GoneReason, Producer, ProducerStream, producer, producer_with_policy,
};
use hangup::{CloseReason, MonitoredListener, MonitoredStream, StallPolicy};
use hangup::{UntilClosed, UntilClosedExt};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio_test::assert_pending;

fn connection() -> MonitoredStream<DuplexStream> {
    MonitoredStream::unwatched(tokio::io::duplex(64).0)
}

const OVER: GoneReason = GoneReason::Connection(CloseReason::Dropped);

fn reason(error: BodyError) -> CloseReason {
    CloseReason::from(&*error.downcast::<io::Error>().unwrap())
}

/// A body of one chunk, whose end never comes.
fn endless() -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
    let chunk = stream::once(async { Ok(Frame::data(Bytes::from_static(b"chunk"))) });
    StreamBody::new(Box::pin(chunk.chain(stream::pending())))
}

#[test]
fn auto_traits() {
    fn portable<T: Send + Sync + Unpin + 'static>() {}
    portable::<Gone>();
    portable::<Exchange>();
    portable::<UntilClosed<Full<Bytes>>>();
    portable::<Producer<Bytes>>();
    portable::<ProducerStream<Bytes>>();
}

#[test]
fn a_body_waits_and_is_woken_by_the_close() {
    let connection = connection();
    let mut body = endless().until_closed(&connection.monitor());
    let (waker, wakes) = new_count_waker();
    let cx = &mut Context::from_waker(&waker);
    let first = body.frame().poll_unpin(cx);
    assert!(matches!(first, Poll::Ready(Some(Ok(_)))));
    assert_pending!(body.frame().poll_unpin(cx));
    assert_eq!(wakes, 0);
    drop(connection);
    assert_eq!(wakes, 1);
    let end = body.frame().now_or_never().unwrap().unwrap();
    assert_eq!(reason(end.unwrap_err()), CloseReason::Dropped);
    assert!(body.frame().now_or_never().unwrap().is_none());
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn a_body_and_a_stream_pass_through() {
    let connection = connection();
    let monitor = connection.monitor();
    let body = Full::new(Bytes::from_static(b"whole")).until_closed(&monitor);
    assert_eq!(body.size_hint().exact(), Some(5));
    assert!(!body.is_end_stream());
    assert_eq!(body.collect().await.unwrap().to_bytes(), "whole");
    assert!(Empty::<Bytes>::new().until_closed(&monitor).is_end_stream());

    let items = stream::iter(0..3).until_closed(&monitor);
    assert_eq!(items.collect::<Vec<_>>().await, [0, 1, 2]);
    let mut items = stream::repeat(7).until_closed(&monitor);
    assert_eq!(items.next().await, Some(7));
    drop(connection);
    assert_eq!(items.next().await, None);
    assert_eq!(items.next().await, None);
}

#[test]
fn a_response_that_ends_is_answered_and_one_that_is_dropped_is_cancelled() {
    let connection = connection();
    let monitor = connection.monitor();

    // HTTP does not ask for a frame behind the last byte of a known length.
    let (exchange, guard) = Exchange::new(&monitor);
    let mut body = guard.body(Full::new(Bytes::from_static(b"whole")));
    assert!(!exchange.is_gone());
    let _ = body.frame().now_or_never().unwrap();
    assert_eq!(exchange.gone_reason(), Some(GoneReason::Answered));
    drop(body);
    assert_eq!(exchange.gone_reason(), Some(GoneReason::Answered));

    let (exchange, guard) = Exchange::new(&monitor);
    let _body = guard.body(Empty::<Bytes>::new());
    assert_eq!(exchange.gone_reason(), Some(GoneReason::Answered));

    let (exchange, guard) = Exchange::new(&monitor);
    let mut body = guard.body(endless());
    let _ = body.frame().now_or_never().unwrap();
    assert!(body.frame().now_or_never().is_none());
    assert!(!exchange.is_gone());
    drop(body);
    assert_eq!(exchange.gone_reason(), Some(GoneReason::Cancelled));

    let (exchange, guard) = Exchange::new(&monitor);
    let mut body = guard.body(endless());
    drop(connection);
    assert_eq!(exchange.gone_reason(), Some(OVER));
    let end = body.frame().now_or_never().unwrap().unwrap();
    assert_eq!(reason(end.unwrap_err()), CloseReason::Dropped);
    drop(body);
    assert_eq!(exchange.gone_reason(), Some(OVER));
}

type End = Box<dyn FnOnce()>;

/// Each future is woken once, whichever of the two ends comes, and the token is cancelled.
#[test]
fn who_waits_is_woken_by_either_end() {
    for connection_first in [true, false] {
        let connection = connection();
        let (exchange, guard) = Exchange::new(&connection.monitor());
        let token = exchange.cancellation_token();
        let (waker, wakes) = new_count_waker();
        let mut gone = exchange.gone();
        assert_pending!(gone.poll_unpin(&mut Context::from_waker(&waker)));
        assert!(!token.is_cancelled());
        let (first, second): (End, End) = match connection_first {
            true => (
                Box::new(move || drop(connection)),
                Box::new(move || drop(guard)),
            ),
            false => (
                Box::new(move || drop(guard)),
                Box::new(move || drop(connection)),
            ),
        };
        first();
        assert_eq!(wakes, 1);
        assert!(token.is_cancelled());
        let told = gone.now_or_never().unwrap();
        assert_eq!(told == OVER, connection_first, "{told:?}");
        second();
        assert_eq!(exchange.gone().now_or_never(), Some(told));
    }
}

#[tokio::test]
async fn items_end_with_their_producer() {
    let connection = connection();
    let (mut producer, items) = producer(&connection.monitor(), 2);
    producer.send(1).await.unwrap();
    producer.blocking_send(2).unwrap();
    let mut third = Box::pin(producer.send(3));
    assert!((&mut third).now_or_never().is_none(), "there is no room");
    drop(third);
    drop(producer);
    assert_eq!(items.collect::<Vec<_>>().await, [1, 2]);
}

/// The largest room means no limit.
#[tokio::test]
async fn a_producer_with_the_largest_room() {
    let stream = connection();
    let (mut items, mut queue) = producer(&stream.monitor(), usize::MAX);
    items.send(1).await.unwrap();
    assert_eq!(queue.next().await, Some(1));
    let policy = StallPolicy::new(1, Duration::from_secs(3600));
    let judged = producer_with_policy(&stream.monitor(), usize::MAX, policy);
    let (mut items, mut queue) = judged.unwrap();
    items.send(2).await.unwrap();
    assert_eq!(queue.next().await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn a_producer_gets_its_item_back() {
    let connection = connection();
    let (mut producer, mut items) = producer(&connection.monitor(), 1);
    producer.send("first").await.unwrap();
    let mut waiting = Box::pin(producer.send("second"));
    assert!((&mut waiting).now_or_never().is_none());
    drop(connection);
    let error = waiting.await.unwrap_err();
    assert_eq!(error.reason(), &OVER);
    assert_eq!(error.into_inner(), "second");
    assert!(producer.is_gone());
    assert_eq!(
        producer.blocking_send("third").unwrap_err().into_inner(),
        "third"
    );
    assert_eq!(
        items.next().await,
        None,
        "nobody is there to take the first"
    );
}

/// A thread that waits for room is woken by either end, without a runtime.
#[test]
fn a_thread_that_waits_is_woken() {
    for connection_first in [true, false] {
        let connection = connection();
        let (mut producer, items) = producer(&connection.monitor(), 1);
        producer.blocking_send(0).unwrap();
        let begun = Arc::new(std::sync::Barrier::new(2));
        let waits = begun.clone();
        let thread = std::thread::spawn(move || {
            waits.wait();
            producer.blocking_send(1).unwrap_err().reason().clone()
        });
        begun.wait();
        if connection_first {
            drop(connection);
            assert_eq!(thread.join().unwrap(), OVER);
            drop(items);
        } else {
            drop(items);
            assert_eq!(thread.join().unwrap(), GoneReason::Cancelled);
        }
    }
}

/// hyper without a framework: the service captures the monitor. The client leaves behind a pipelined
/// request, where hyper does not look.
#[tokio::test]
async fn hyper_is_served_by_hand() {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let monitor = stream.monitor();
    let (begun, mut handler) = unbounded_channel();
    let service = service_fn(move |_: Request<Incoming>| {
        let (monitor, begun) = (monitor.clone(), begun.clone());
        async move {
            let (exchange, guard) = Exchange::new(&monitor);
            begun.send(exchange.clone()).unwrap();
            let reason = exchange.gone().await;
            drop(guard);
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(reason.to_string()))))
        }
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let request = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";
    client.write_all(&request.repeat(2)).await.unwrap();
    let exchange = soon("the handler", handler.recv()).await.unwrap();
    assert!(!exchange.is_gone());
    drop(client);
    let reason = soon("the end", exchange.gone()).await;
    assert_eq!(reason, GoneReason::Connection(CloseReason::PeerClosed));
}
