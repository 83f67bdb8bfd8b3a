//! `CloseReason::find` through the errors of other libraries, each made by the library itself.

use hangup::{CloseReason, Monitor, MonitoredStream, RunError};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream};

const DEADLINE: Duration = Duration::from_secs(30);

fn find(error: impl Error + 'static) -> Option<CloseReason> {
    CloseReason::find(&error)
}

/// A connection whose peer takes everything and says nothing.
fn silent() -> (
    TokioIo<MonitoredStream<DuplexStream>>,
    Monitor,
    DuplexStream,
) {
    let (io, peer) = tokio::io::duplex(1 << 16);
    let stream = MonitoredStream::unwatched(io);
    let monitor = stream.monitor();
    (TokioIo::new(stream), monitor, peer)
}

fn request() -> hyper::Request<Empty<bytes::Bytes>> {
    hyper::Request::get("http://localhost/")
        .body(Empty::new())
        .unwrap()
}

#[test]
fn the_error_of_an_axum_body() {
    let stalled = io::Error::from(CloseReason::Stalled);
    assert_eq!(find(axum::Error::new(stalled)), Some(CloseReason::Stalled));
    let reset = io::Error::from_raw_os_error(libc::ECONNRESET);
    assert_eq!(find(axum::Error::new(reset)), Some(CloseReason::Reset));
    let nested = axum::Error::new(io::Error::other(axum::Error::new(CloseReason::TlsAlert)));
    assert_eq!(find(nested), Some(CloseReason::TlsAlert));
}

#[tokio::test]
async fn hyper_over_http1() {
    let (io, monitor, _peer) = silent();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = tokio::spawn(async move { sender.send_request(request()).await });
    tokio::task::yield_now().await;
    monitor.abort();
    let ended = tokio::time::timeout(DEADLINE, connection)
        .await
        .unwrap()
        .unwrap();
    let answered = tokio::time::timeout(DEADLINE, answer)
        .await
        .unwrap()
        .unwrap();
    let found = [ended.err(), answered.err()].map(|error| error.and_then(find));
    assert!(found.contains(&Some(CloseReason::Aborted)), "{found:?}");
}

/// h2 keeps the kind of the error, and not the error.
#[tokio::test]
async fn hyper_over_http2() {
    let (io, monitor, _peer) = silent();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = tokio::spawn(async move { sender.send_request(request()).await });
    tokio::task::yield_now().await;
    monitor.abort();
    let ended = tokio::time::timeout(DEADLINE, connection)
        .await
        .unwrap()
        .unwrap();
    let answered = tokio::time::timeout(DEADLINE, answer)
        .await
        .unwrap()
        .unwrap();
    let found = [ended.err(), answered.err()].map(|error| error.and_then(find));
    // The kind of `Aborted` is ConnectionAborted.
    assert!(found.contains(&Some(CloseReason::Reset)), "{found:?}");
}

/// It names no source: its own `into_io` gives the error.
#[tokio::test]
async fn h2_by_itself() {
    let (io, monitor, _peer) = silent();
    let (_sender, connection) = h2::client::handshake(io.into_inner()).await.unwrap();
    let connection = tokio::spawn(connection);
    tokio::task::yield_now().await;
    monitor.abort();
    let ended = tokio::time::timeout(DEADLINE, connection)
        .await
        .unwrap()
        .unwrap();
    let error = ended.unwrap_err();
    assert_eq!(CloseReason::find(&error), None);
    assert_eq!(find(error.into_io().unwrap()), Some(CloseReason::Reset));
}

#[test]
fn tungstenite() {
    let broken = tungstenite::Error::Io(CloseReason::PeerClosed.into());
    assert_eq!(find(broken), Some(CloseReason::PeerClosed));
    assert_eq!(find(tungstenite::Error::ConnectionClosed), None);
}

#[test]
fn tonic() {
    let stalled = Box::new(io::Error::from(CloseReason::Stalled));
    let status = tonic::Status::from_error(stalled);
    assert_eq!(find(status), Some(CloseReason::Stalled));
    assert_eq!(find(tonic::Status::cancelled("by the client")), None);
}

#[test]
fn what_is_not_of_a_connection() {
    assert_eq!(find(io::Error::from(ErrorKind::NotFound)), None);
    assert_eq!(find(io::Error::from(ErrorKind::WouldBlock)), None);
    assert_eq!(
        find(axum::Error::new(io::Error::from(ErrorKind::StorageFull))),
        None
    );
    assert_eq!(find("12a".parse::<u8>().unwrap_err()), None);
}

/// The end of the stream by a write, and by the close, is one error; what is not the stream's is not lost.
#[tokio::test]
async fn run_io_tells_the_stream_from_the_rest() {
    let (io, peer) = tokio::io::duplex(64);
    let mut stream = MonitoredStream::unwatched(io);
    let monitor = stream.monitor();

    // Another connection failed: this stream is open.
    let reset = async { Err::<(), _>(io::Error::from(ErrorKind::ConnectionReset)) };
    match monitor.run_io(reset).await {
        Err(RunError::Failed(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    // Another monitored stream has closed: a proxy's other side.
    let stalled = async { Err::<(), _>(io::Error::from(CloseReason::Stalled)) };
    match monitor.run_io(stalled).await {
        Err(RunError::Failed(error)) => {
            assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Stalled));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        monitor
            .run_io(async { Ok::<_, io::Error>(7) })
            .await
            .unwrap(),
        7
    );

    // The write is what finds out, with an error of its own.
    drop(peer);
    let written = monitor.run_io(stream.write_all(b"for nobody")).await;
    let error = written.unwrap_err();
    assert_eq!(error.close_reason(), Some(&CloseReason::PeerClosed));
    assert_eq!(error.to_string(), "closed by peer");

    // It is not polled any more; a failure of its own would be told.
    let polled = monitor.run_io(async { Err::<(), io::Error>(ErrorKind::NotFound.into()) });
    assert!(matches!(
        polled.await,
        Err(RunError::Closed(CloseReason::PeerClosed))
    ));
}

/// An error that is not of a connection is told, although the stream closed in the same moment.
#[tokio::test]
async fn run_io_keeps_a_failure_that_comes_with_the_close() {
    let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    let monitor = stream.monitor();
    let fails = async {
        drop(stream);
        Err::<(), _>(io::Error::from(ErrorKind::StorageFull))
    };
    match monitor.run_io(fails).await {
        Err(RunError::Failed(error)) => assert_eq!(error.kind(), ErrorKind::StorageFull),
        other => panic!("{other:?}"),
    }
}
