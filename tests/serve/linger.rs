//! Uploads that are refused before they have been read: the client gets its response.

use crate::Running;
use crate::client::Client;
use crate::support::soon;
use crate::support::tls::{Setup, connect};
use crate::tls;
use axum::Router;
use axum::extract::Request;
use axum::http::{Response, StatusCode, header};
use axum::routing::{get, post};
use hangup::serve::{LimitReason, serve};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const UPLOAD: usize = 1 << 20;

/// Answers every request before its body.
fn refusing() -> Router {
    let refuse = async || (StatusCode::PAYLOAD_TOO_LARGE, "too large");
    Router::new().route("/", post(refuse).get(async || "hello"))
}

/// Sends a whole request, and only then reads. What was answered, or the error that came instead.
async fn upload<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<String> {
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![7; UPLOAD]).await?;
    stream.flush().await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response)
}

/// How many of some uploads get the whole response.
async fn answered(address: SocketAddr, uploads: usize) -> usize {
    let mut answered = 0;
    for _ in 0..uploads / 10 {
        let clients = (0..10).map(async |_| upload(TcpStream::connect(address).await?).await);
        let responses = futures::future::join_all(clients);
        let responses = soon("the responses", responses).await;
        let is_complete = |response: &&io::Result<String>| {
            response.as_ref().is_ok_and(|response| {
                response.starts_with("HTTP/1.1 413") && response.ends_with("too large")
            })
        };
        answered += responses.iter().filter(is_complete).count();
    }
    answered
}

/// A hyper server without this crate.
async fn bare() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let refuse = service_fn(async |_| {
                let response = Response::builder().status(StatusCode::PAYLOAD_TOO_LARGE);
                Ok::<_, Infallible>(response.body("too large".to_owned()).unwrap())
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), refuse));
        }
    });
    address
}

/// A handler refused the upload, hyper closed the connection, and the client's system answered the rest of the upload's
/// reset with an error in the place of the response.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refused_upload_is_answered() {
    let server = Running::start(refusing(), |server| server).await;
    let ours = answered(server.address, 500).await;
    let bare = answered(bare().await, 500).await;
    println!("answered of 500: {ours}, by bare hyper {bare}");
    assert_eq!(ours, 500);
    assert_eq!(server.stop().await.limits(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_upload_over_tls() {
    let (listener, address, connector) = tls::listener(Setup::default()).await;
    let server = serve(listener, refusing()).http1_only();
    let server = tokio::spawn(server.into_future());
    for _ in 0..20 {
        let stream = connect(&connector, address).await;
        let response = soon("the response", upload(stream)).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    }
    server.abort();
}

/// The server's own refusals: of the request, and of its head.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses() {
    let server = Running::start(refusing(), |server| server.max_requests(0)).await;
    for _ in 0..20 {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let response = soon("the response", upload(stream)).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 503"), "{response}");
        let mut client = Client::connect(server.address).await;
        let cookie = "x".repeat(UPLOAD);
        client.ask("/", &format!("Cookie: {cookie}\r\n")).await;
        assert_eq!(client.response().await.unwrap().status, 431);
    }
}

/// The limit is reported with the answer. It was reported at the end of the connection, which the client can delay.
#[tokio::test]
async fn a_head_that_is_too_large_is_reported_at_once() {
    let long = Duration::from_secs(3600);
    let mut server = Running::start(refusing(), |server| server.lingering_time(long)).await;
    let mut client = Client::connect(server.address).await;
    client
        .ask("/", &format!("Cookie: {}\r\n", "x".repeat(40_000)))
        .await;
    assert_eq!(client.response().await.unwrap().status, 431);
    let dribble = async {
        while client.stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = dribble => panic!("the server has closed the connection"),
        reason = server.limit() => assert_eq!(reason, LimitReason::HeadSize),
    }
}

/// During a shutdown too, which waits for the clients that are still sending, and no longer than for others.
#[tokio::test]
async fn a_refusal_while_draining() {
    let (asked, mut asks) = tokio::sync::mpsc::unbounded_channel();
    let (go, gone) = tokio::sync::watch::channel(());
    let refuse = async move || {
        asked.send(()).unwrap();
        drop(gone.clone().changed().await);
        StatusCode::SERVICE_UNAVAILABLE
    };
    let router = Router::new().route("/", post(refuse));
    let server = Running::start(router, |server| server).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let response = tokio::spawn(upload(stream));
    soon("the request", asks.recv()).await.unwrap();
    let draining = server.draining();
    go.send(()).unwrap();
    let response = soon("the response", response).await.unwrap().unwrap();
    assert!(response.starts_with("HTTP/1.1 503"), "{response}");
    let summary = soon("the end", draining).await.unwrap().unwrap();
    assert_eq!((summary.finished(), summary.aborted()), (1, 0));
}

/// A client that never ends is not read for ever, and makes room for others before that.
#[tokio::test]
async fn the_bounds() {
    let endless = async |server: &Running| {
        let mut client = Client::connect(server.address).await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n";
        client.send(head).await;
        client
    };
    let sent = async |mut client: Client| {
        while client.stream.write_all(&[7; 1000]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let short = Duration::from_millis(300);
    let mut server = Running::start(refusing(), |server| server.lingering_time(short)).await;
    let client = endless(&server).await;
    soon("the end of the client", sent(client)).await;
    assert_eq!(server.limit().await, LimitReason::Lingering);

    // In bytes.
    let mut server = Running::start(refusing(), |server| {
        server.lingering_time(Duration::from_secs(3600))
    })
    .await;
    let mut client = endless(&server).await;
    let flood = vec![7; UPLOAD];
    let flooded = async { while client.stream.write_all(&flood).await.is_ok() {} };
    soon("the end of the flood", flooded).await;
    assert_eq!(server.limit().await, LimitReason::Lingering);

    let mut server = Running::start(refusing(), |server| server.max_connections(1)).await;
    let client = endless(&server).await;
    let sent = tokio::spawn(sent(client));
    // The first one may still have its request.
    while Client::connect(server.address)
        .await
        .get_if_admitted()
        .await
        .is_none()
    {}
    soon("the end of the client", sent).await.unwrap();
    assert_eq!(server.limit().await, LimitReason::Connections);
}

/// A connection that was upgraded is the program's: a shutdown of its write half takes nothing from its read half.
#[tokio::test]
async fn an_upgraded_connection_is_not_read() {
    let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
    let upgrade = async move |mut request: Request| {
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
            let mut io = TokioIo::new(upgraded);
            let mut byte = [0];
            io.read_exact(&mut byte).await.unwrap();
            io.shutdown().await.unwrap();
            let mut rest = Vec::new();
            io.read_to_end(&mut rest).await.unwrap();
            report.send(rest).unwrap();
        });
        let fields = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "sink")];
        (StatusCode::SWITCHING_PROTOCOLS, fields)
    };
    let server = Running::start(Router::new().route("/", get(upgrade)), |server| server).await;
    let mut client = Client::connect(server.address).await;
    client
        .ask("/", "Connection: upgrade\r\nUpgrade: sink\r\n")
        .await;
    let mut head = [0; 12];
    soon("the head", client.stream.read_exact(&mut head))
        .await
        .unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    client.send_bytes(&vec![7; UPLOAD]).await;
    client.stream.shutdown().await.unwrap();
    let rest = soon("the rest", reports.recv()).await.unwrap();
    assert_eq!(rest.len(), UPLOAD - 1);
}
