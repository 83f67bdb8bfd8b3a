//! hyper-util's pooled client over monitored connections, without a newtype.

use crate::support::soon;
use bytes::Bytes;
use hangup::{CloseReason, Monitor, MonitoredStream};
use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::service_fn;

/// The server ends its idle connection: the pool does not use it again, and the monitor of the response says why.
#[tokio::test]
async fn a_pooled_connection_that_the_server_closes_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let connected = Arc::new(AtomicUsize::new(0));
    let count = connected.clone();
    let connector = service_fn(move |_: Uri| {
        let count = count.clone();
        Box::pin(async move {
            count.fetch_add(1, Relaxed);
            Ok::<_, io::Error>(TokioIo::new(
                MonitoredStream::<TcpStream>::connect(address).await?,
            ))
        })
    });
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let serve = async |listener: &TcpListener| {
        let (mut server, _) = listener.accept().await.unwrap();
        answer(&mut server).await;
        server
    };
    let url: Uri = format!("http://{address}/").parse().unwrap();

    let (response, mut server) = soon("an answer", async {
        tokio::join!(client.get(url.clone()), serve(&listener))
    })
    .await;
    let response = response.unwrap();
    let monitor = response.extensions().get::<Monitor>().unwrap().clone();
    response.into_body().collect().await.unwrap();

    // It is pooled, and used again.
    let (response, ()) = soon("an answer", async {
        tokio::join!(client.get(url.clone()), answer(&mut server))
    })
    .await;
    response.unwrap().into_body().collect().await.unwrap();
    assert_eq!(connected.load(Relaxed), 1);
    assert!(!monitor.is_closed());

    drop(server);
    assert_eq!(
        soon("the close", monitor.closed()).await,
        CloseReason::PeerClosed
    );
    let (response, _server) = soon("an answer", async {
        tokio::join!(client.get(url), serve(&listener))
    })
    .await;
    response.unwrap();
    assert_eq!(connected.load(Relaxed), 2);
}

async fn answer(server: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(server.read_u8().await.unwrap());
    }
    server
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await
        .unwrap();
}
