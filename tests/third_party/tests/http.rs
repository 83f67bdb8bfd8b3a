//! hyper, h2, reqwest and tonic.

use hangup::errors::ErrorClass::*;
use hangup_third_party::*;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tonic::codegen::Service;
use tonic::transport::Endpoint;

const SOON: Duration = Duration::from_millis(50);
const CUT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc";

async fn hyper_sender(address: SocketAddr) -> http1::SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request() -> hyper::Request<Empty<Bytes>> {
    hyper::Request::new(Empty::new())
}

#[tokio::test]
async fn hyper() {
    let mut sender = hyper_sender(resets().await).await;
    assert_seen(
        &sender.send_request(request()).await.unwrap_err(),
        Disconnected,
    );
    let mut sender = hyper_sender(closes().await).await;
    assert_hidden(
        &sender.send_request(request()).await.unwrap_err(),
        Disconnected,
    );
    // The connection is over: what is sent on it is cancelled.
    assert_hidden(
        &sender.send_request(request()).await.unwrap_err(),
        Disconnected,
    );
    let mut sender = hyper_sender(answers(CUT).await).await;
    let answer = sender.send_request(request()).await.unwrap();
    assert_seen(
        &answer.into_body().collect().await.unwrap_err(),
        Disconnected,
    );
    // A peer that does not speak HTTP is not the connection's fault.
    let mut sender = hyper_sender(talks_nonsense().await).await;
    assert_hidden(&sender.send_request(request()).await.unwrap_err(), Other);
}

#[tokio::test]
async fn h2() {
    for (reason, class) in [
        (h2::Reason::REFUSED_STREAM, Disconnected),
        (h2::Reason::NO_ERROR, Disconnected),
        (h2::Reason::PROTOCOL_ERROR, Other),
    ] {
        assert_hidden(&h2::Error::from(reason), class);
    }
    for address in [closes().await, talks_nonsense().await] {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        let _ = tokio::spawn(connection).await.unwrap();
        let error = match sender.send_request(hyper::Request::new(()), true) {
            Ok((answer, _)) => answer.await.unwrap_err(),
            Err(error) => error,
        };
        assert_hidden(&error, Disconnected);
    }
}

#[tokio::test]
async fn reqwest() {
    let client = reqwest::Client::new();
    let get = |address| client.get(format!("http://{address}/"));
    assert_seen(&get(nobody().await).send().await.unwrap_err(), Disconnected);
    assert_seen(&get(resets().await).send().await.unwrap_err(), Disconnected);
    assert_hidden(&get(closes().await).send().await.unwrap_err(), Disconnected);
    assert_hidden(
        &get(talks_nonsense().await).send().await.unwrap_err(),
        Disconnected,
    );
    let cut = get(answers(CUT).await).send().await.unwrap();
    assert_seen(&cut.bytes().await.unwrap_err(), Disconnected);
    let late = get(silent().await).timeout(SOON).send().await;
    assert_hidden(&late.unwrap_err(), Timeout);
    let label = "x".repeat(64);
    let unknown = client.get(format!("http://{label}.invalid/")).send().await;
    assert_seen(&unknown.unwrap_err(), Resolution);
}

#[tokio::test]
async fn tonic() {
    let call = async |address: SocketAddr| {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut channel = endpoint.timeout(SOON).connect_lazy();
        let ready = std::future::poll_fn(|cx| {
            Service::<hyper::Request<tonic::body::Body>>::poll_ready(&mut channel, cx)
        });
        ready.await.unwrap();
        let mut request = hyper::Request::new(tonic::body::Body::empty());
        *request.uri_mut() = format!("http://{address}/service/Method").parse().unwrap();
        channel.call(request).await.unwrap_err()
    };
    let refused = call(nobody().await).await;
    assert_seen(&refused, Disconnected);
    assert_seen(&tonic::Status::from_error(refused.into()), Disconnected);
    let closed = call(closes().await).await;
    assert_seen(&closed, Disconnected);
    assert_seen(&tonic::Status::from_error(closed.into()), Disconnected);
    let nonsense = call(talks_nonsense().await).await;
    assert_hidden(&nonsense, Disconnected);
    let late = call(silent().await).await;
    assert_hidden(&late, Timeout);
    assert_hidden(&tonic::Status::from_error(late.into()), Timeout);
    for (status, class) in [
        (tonic::Status::unavailable("draining"), Disconnected),
        (tonic::Status::deadline_exceeded("too late"), Timeout),
        (tonic::Status::unauthenticated("no token"), Permission),
        (tonic::Status::invalid_argument("no"), Other),
    ] {
        assert_hidden(&status, class);
    }
}
