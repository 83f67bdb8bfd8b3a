//! axum over TLS: a handler is told why its client left.

#![cfg(all(feature = "axum", feature = "tls", unix, not(hangup_fallback)))]

use crate::support::tls::{BROKEN_RECORDS, Setup};
use crate::support::{DEADLINE, soon};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{get, post};
use hangup::tls::TlsListener;
use hangup::{CloseReason, Monitor, MonitorConfig, MonitoredListener};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::{TlsConnector, client};

type Told = (CloseReason, Instant);

/// What a handler tells of: that it runs, and then why its client left.
#[derive(Clone)]
struct Teller {
    runs: UnboundedSender<()>,
    told: UnboundedSender<Told>,
}

/// Waits for nothing but the client's end.
async fn wait(State(teller): State<Teller>, monitor: Monitor) {
    let closed = monitor.closed();
    // hyper drops the handler of a client that left.
    tokio::spawn({
        let told = teller.told.clone();
        async move { told.send((closed.await, Instant::now())).unwrap() }
    });
    teller.runs.send(()).unwrap();
    std::future::pending().await
}

/// The same, with the request's body unread.
async fn ignore(state: State<Teller>, monitor: Monitor, body: Body) {
    wait(state, monitor).await;
    drop(body);
}

struct Server {
    address: SocketAddr,
    connector: TlsConnector,
    runs: UnboundedReceiver<()>,
    told: UnboundedReceiver<Told>,
}

async fn serve(config: MonitorConfig) -> Server {
    let (connector, acceptor) = Setup::default().make();
    let (runs, running) = unbounded_channel();
    let (told, telling) = unbounded_channel();
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let listener = TlsListener::new(listener.config(config), acceptor);
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/wait", get(wait))
        .route("/ignore", post(ignore))
        .with_state(Teller { runs, told });
    let service = router.into_make_service_with_connect_info::<Monitor>();
    tokio::spawn(axum::serve(listener, service).into_future());
    Server {
        address,
        connector,
        runs: running,
        told: telling,
    }
}

impl Server {
    /// A client whose request has its handler running.
    async fn client(&mut self, request: &str) -> client::TlsStream<TcpStream> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let connecting = self
            .connector
            .connect("localhost".try_into().unwrap(), socket);
        let mut client = soon("the handshake", connecting).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client.flush().await.unwrap();
        soon("the handler", self.runs.recv()).await.unwrap();
        client
    }

    async fn told(&mut self) -> Told {
        soon("the handler's word", self.told.recv()).await.unwrap()
    }
}

const WAIT: &str = "GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// hyper reads while the handler waits, and so the end is told apart.
#[tokio::test]
async fn an_idle_handler_is_told_why() {
    let mut server = serve(MonitorConfig::new().fin_delay(DEADLINE)).await;
    for expected in [
        CloseReason::PeerClosed,
        CloseReason::Truncated,
        CloseReason::Tls,
        CloseReason::Reset,
    ] {
        let mut client = server.client(WAIT).await;
        let kept = match expected {
            CloseReason::PeerClosed => {
                client.shutdown().await.unwrap();
                Some(client)
            }
            CloseReason::Truncated => {
                client.get_mut().0.shutdown().await.unwrap();
                Some(client)
            }
            CloseReason::Tls => {
                let socket = client.get_mut().0;
                socket.write_all(BROKEN_RECORDS[0]).await.unwrap();
                Some(client)
            }
            _ => {
                client.get_ref().0.set_zero_linger().unwrap();
                drop(client);
                None
            }
        };
        assert_eq!(server.told().await.0, expected);
        drop(kept);
    }
}

/// Behind a pipelined request and behind an unread body hyper does not read. The FIN is heard all the same,
/// after the time that it is held.
#[tokio::test]
async fn a_handler_is_told_behind_what_hyper_leaves_unread() {
    let mut server = serve(MonitorConfig::new()).await;
    let body = "x".repeat(100_000);
    let ignored = format!(
        "POST /ignore HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for (request, what) in [
        (WAIT.repeat(2), "a pipelined request"),
        (ignored, "an unread body"),
    ] {
        let mut client = server.client(&request).await;
        let left = Instant::now();
        client.shutdown().await.unwrap();
        let (told, when) = server.told().await;
        assert_eq!(told, CloseReason::PeerClosed, "{what}");
        println!("FIN behind {what}: told after {:?}", when - left);
    }
}
