//! The servers: the same handlers, on axum's listener and on ours.

use super::Report;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::routing::any;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use hangup::{Monitor, MonitorConfig, MonitoredListener, StallPolicy};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The stall policy's window.
pub(crate) const WINDOW: Duration = Duration::from_millis(500);

/// What a client must take in a window: more than the kernels move among themselves after the write has begun
/// to wait, so that the first window is the one that tells.
const LEAST: u64 = 256 * 1024;

/// More than the two kernels keep: the body is asked for it once, and then the write waits.
const LUMP: usize = 32 * 1024 * 1024;

/// For whom each exchange's reports are.
type Desk = Arc<Mutex<HashMap<u64, Sender<Report>>>>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    desk: Desk,
    exchanges: AtomicU64,
    _runtime: Runtime,
}

impl Server {
    /// axum's own.
    pub(crate) fn bare() -> Self {
        Self::start(|router, listener| {
            tokio::spawn(axum::serve(listener, router).into_future());
        })
    }

    /// axum on a [`MonitoredListener`].
    pub(crate) fn monitored() -> Self {
        Self::start(|router, listener| {
            let config = MonitorConfig::new().stall(StallPolicy::new(LEAST, WINDOW));
            let listener = MonitoredListener::from_listener(listener).config(config);
            let service = router.into_make_service_with_connect_info::<Monitor>();
            tokio::spawn(axum::serve(listener, service).into_future());
        })
    }

    fn start(serve: impl FnOnce(Router, TcpListener)) -> Self {
        let desk = Desk::default();
        let router = Router::new()
            .route("/idle/{exchange}", any(idle))
            .route("/events/{exchange}", any(events))
            .route("/bulk/{exchange}", any(bulk::<65536>))
            .route("/lumps/{exchange}", any(bulk::<LUMP>))
            .with_state(desk.clone());
        let runtime = Runtime::new().unwrap();
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            serve(router, listener);
            address
        });
        Self {
            address,
            desk,
            exchanges: AtomicU64::new(0),
            _runtime: runtime,
        }
    }

    /// A number for the next exchange, and what its handler reports.
    pub(crate) fn exchange(&self) -> (u64, Receiver<Report>) {
        let exchange = self.exchanges.fetch_add(1, Relaxed);
        let (sender, reports) = channel();
        self.desk.lock().unwrap().insert(exchange, sender);
        (exchange, reports)
    }
}

/// What a handler holds while it works for its client. Its drop is what axum and hyper tell.
struct Work(Sender<Report>);

impl Work {
    /// With `hangup` it hears of the end by the monitor too.
    fn begin(desk: &Desk, exchange: u64, request: &Request) -> Self {
        let reports = desk.lock().unwrap()[&exchange].clone();
        // The client may have what it wanted and be gone.
        let _ = reports.send(Report::Started);
        let monitor = request.extensions().get::<ConnectInfo<Monitor>>();
        if let Some(ConnectInfo(monitor)) = monitor.cloned() {
            let reports = reports.clone();
            tokio::spawn(async move {
                monitor.closed().await;
                let _ = reports.send(Report::Knows(Instant::now()));
            });
        }
        Self(reports)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = self.0.send(Report::Knows(Instant::now()));
    }
}

type Exchange = Path<u64>;

async fn idle(State(desk): State<Desk>, Path(exchange): Exchange, request: Request) {
    let _work = Work::begin(&desk, exchange, &request);
    pending().await
}

async fn events(State(desk): State<Desk>, Path(exchange): Exchange, request: Request) -> Body {
    let work = Work::begin(&desk, exchange, &request);
    let events = stream::unfold((work, Duration::ZERO), |(work, wait)| async move {
        tokio::time::sleep(wait).await;
        let event = Bytes::from_static(b"data: event\n\n");
        Some((event, (work, Duration::from_secs(1))))
    });
    body(events)
}

async fn bulk<const CHUNK: usize>(
    State(desk): State<Desk>,
    Path(exchange): Exchange,
    request: Request,
) -> Body {
    let work = Work::begin(&desk, exchange, &request);
    let chunk = Bytes::from_static(&[0; CHUNK]);
    body(stream::repeat(chunk).inspect(move |_| {
        let _ = work.0.send(Report::Asked(Instant::now()));
    }))
}

fn body(data: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    Body::from_stream(data.map(Ok::<_, Infallible>))
}
