//! Servers on loopback that end in one way each, and what is asserted of the errors that they cause.

use hangup::errors::{Classifier, ErrorClass, classify_error};
use std::error::Error;
use std::future::{Future, pending};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// That `error` is of `class` by its chain of sources alone.
#[track_caller]
pub fn assert_seen(error: &(dyn Error + 'static), class: ErrorClass) {
    assert_eq!(classify_error(error), class, "{error:?}");
    assert_known(error, class);
}

/// That `error` hides its cause, and is of `class` by the rules for well-known crates.
#[track_caller]
pub fn assert_hidden(error: &(dyn Error + 'static), class: ErrorClass) {
    assert_eq!(classify_error(error), ErrorClass::Other, "{error:?}");
    assert_known(error, class);
}

#[track_caller]
fn assert_known(error: &(dyn Error + 'static), class: ErrorClass) {
    let classifier = Classifier::well_known();
    assert_eq!(classifier.classify_error(error), class, "{error:?}");
}

/// A server whose connections are each handled by `handle`.
pub async fn server<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    address
}

/// Reads a request and closes without an answer.
pub async fn closes() -> SocketAddr {
    answers(b"").await
}

/// Reads a part of a request and closes, which is a reset.
pub async fn resets() -> SocketAddr {
    server(async |mut stream| {
        let _ = stream.read(&mut [0; 8]).await;
    })
    .await
}

/// Reads a request, sends `answer`, and closes.
pub async fn answers(answer: &'static [u8]) -> SocketAddr {
    server(async |mut stream| {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer).await;
    })
    .await
}

/// Sends what no protocol understands, and stays.
pub async fn talks_nonsense() -> SocketAddr {
    server(async |mut stream| {
        let nonsense = "nonsense ".repeat(8);
        let _ = stream.write_all(nonsense.as_bytes()).await;
        pending::<()>().await;
    })
    .await
}

/// Accepts and never answers.
pub async fn silent() -> SocketAddr {
    server(async |stream| {
        pending::<()>().await;
        drop(stream);
    })
    .await
}

/// An address where nobody listens.
pub async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}
