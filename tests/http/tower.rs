//! The layer that cancels a handler, below axum: with a request that is pipelined, where hyper does not look.

use crate::support::{Tcp4, soon, watched};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::MockConnectInfo;
use axum::handler::Handler as AxumHandler;
use axum::http::{Request, Response};
use axum::routing::get;
use hangup::MonitoredListener;
use hangup::axum::{Peer, into_make_service};
use hangup::tower::CancelLayer;
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tower::{Layer, ServiceExt, service_fn};

const PIPELINED: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Tells when it is dropped.
struct Handler(UnboundedSender<&'static str>);

impl Drop for Handler {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// A handler that commits after two seconds, if it may.
fn never(told: UnboundedSender<&'static str>) -> impl AxumHandler<((),), ()> {
    async move || {
        let handler = Handler(told.clone());
        handler.0.send("begun").unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        handler.0.send("committed").unwrap();
    }
}

async fn serve(
    layer: Option<CancelLayer>,
) -> (
    TcpStream,
    tokio::sync::mpsc::UnboundedReceiver<&'static str>,
) {
    let (sender, told) = unbounded_channel();
    let mut router = Router::new().route("/", get(never(sender)));
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

/// Served by axum's own make-service with `Peer`, the layer found no monitor, and cancelled nothing.
#[tokio::test]
async fn a_connect_info_of_a_peer_has_a_monitor() {
    let (sender, mut told) = unbounded_channel();
    let router = Router::new().route("/", get(never(sender)));
    let router = router.layer(CancelLayer::new());
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<Peer>();
    tokio::spawn(axum::serve(listener, service).into_future());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(PIPELINED).await.unwrap();
    assert_eq!(soon("the request", told.recv()).await, Some("begun"));
    drop(client);
    assert_eq!(soon("the end", told.recv()).await, Some("dropped"));
}

/// The same with each value that a server may put into the extensions of a request.
#[tokio::test]
async fn every_extension_that_has_a_monitor_is_found() {
    let (stream, _client) = watched::<Tcp4>();
    let address = stream.peer_addr().unwrap();
    let mut requests = vec![
        Request::builder().extension(stream.monitor()),
        Request::builder().extension(ConnectInfo(stream.monitor())),
        Request::builder().extension(ConnectInfo(Peer::new(stream.monitor(), address))),
        Request::builder().extension(MockConnectInfo(stream.monitor())),
        Request::builder().extension(MockConnectInfo(Peer::new(stream.monitor(), address))),
    ];
    #[cfg(unix)]
    {
        let (socket, _) = tokio::net::UnixStream::pair().unwrap();
        let peer = || Peer::new(stream.monitor(), socket.local_addr().unwrap());
        requests.push(Request::builder().extension(ConnectInfo(peer())));
        requests.push(Request::builder().extension(MockConnectInfo(peer())));
    }
    #[cfg(feature = "tonic")]
    {
        let info = tonic::transport::server::Connected::connect_info(&stream);
        requests.push(Request::builder().extension(info));
    }
    drop(stream);
    for request in requests {
        let request = request.body(()).unwrap();
        let asked = format!("{:?}", request.extensions());
        let endless = service_fn(async |_: Request<()>| {
            std::future::pending::<Result<Response<String>, Infallible>>().await
        });
        let answer = CancelLayer::new().layer(endless).oneshot(request);
        assert_eq!(soon(&asked, answer).await.unwrap().status(), 499);
    }
}
