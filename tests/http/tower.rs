//! The layer that cancels a handler, below axum: with a request that is pipelined, where hyper does not look.

use crate::support::soon;
use axum::Router;
use axum::routing::get;
use hangup::MonitoredListener;
use hangup::axum::into_make_service;
use hangup::tower::CancelLayer;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const PIPELINED: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Tells when it is dropped.
struct Handler(UnboundedSender<&'static str>);

impl Drop for Handler {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

async fn serve(
    layer: Option<CancelLayer>,
) -> (
    TcpStream,
    tokio::sync::mpsc::UnboundedReceiver<&'static str>,
) {
    let (sender, told) = unbounded_channel();
    let never = async move || {
        let handler = Handler(sender.clone());
        handler.0.send("begun").unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        handler.0.send("committed").unwrap();
    };
    let mut router = Router::new().route("/", get(never));
    if let Some(layer) = layer {
        router = router.layer(layer);
    }
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, into_make_service(router)).into_future());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(PIPELINED).await.unwrap();
    (client, told)
}

#[tokio::test]
async fn a_handler_is_cancelled_behind_a_pipelined_request() {
    let (client, mut told) = serve(Some(CancelLayer::new())).await;
    assert_eq!(soon("the request", told.recv()).await, Some("begun"));
    drop(client);
    assert_eq!(soon("the end", told.recv()).await, Some("dropped"));
}

/// hyper alone reads nothing behind the second request: the first handler runs to its end.
#[tokio::test]
async fn without_the_layer_it_is_not() {
    let (client, mut told) = serve(None).await;
    assert_eq!(soon("the request", told.recv()).await, Some("begun"));
    drop(client);
    assert_eq!(soon("the end", told.recv()).await, Some("committed"));
}

#[tokio::test]
async fn within_the_grace_period_a_handler_completes() {
    let layer = CancelLayer::new().grace_period(Duration::from_secs(60));
    let (client, mut told) = serve(Some(layer)).await;
    assert_eq!(soon("the request", told.recv()).await, Some("begun"));
    drop(client);
    assert_eq!(soon("the end", told.recv()).await, Some("committed"));
}

#[tokio::test]
async fn after_the_grace_period_it_does_not() {
    let layer = CancelLayer::new().grace_period(Duration::from_millis(50));
    let (client, mut told) = serve(Some(layer)).await;
    assert_eq!(soon("the request", told.recv()).await, Some("begun"));
    drop(client);
    assert_eq!(soon("the end", told.recv()).await, Some("dropped"));
}
