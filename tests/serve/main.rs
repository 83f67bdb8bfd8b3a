//! The server: its limits, its files, its end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(target_os = "linux")]
mod beside_nginx;
mod client;
mod collected;
mod control_frames;
#[cfg(unix)]
mod corpus;
mod drain;
mod extremes;
mod files;
#[cfg(target_os = "linux")]
mod floods;
mod frames;
#[cfg(feature = "tonic")]
mod grpc;
mod http2;
#[cfg(feature = "tonic")]
mod http2_attacks;
mod limits;
mod linger;
#[cfg(unix)]
mod oracle;
mod other_clients;
mod property;
mod records;
#[cfg(unix)]
#[path = "../support/corpus.rs"]
mod replay;
#[cfg(unix)]
mod signals;
mod slow_readers;
#[path = "../support/mod.rs"]
mod support;
mod tls;
#[cfg(unix)]
mod unix;
mod upgrades;

use axum::Router;
use bytes::Bytes;
use hangup::MonitoredListener;
use hangup::serve::{LimitEvent, LimitReason, Server, Summary, serve};
use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) limits: UnboundedReceiver<LimitEvent>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<Summary>>,
}

impl Running {
    /// Serves `router` on a port of its own.
    pub(crate) async fn start(
        router: Router,
        settings: impl FnOnce(Server<MonitoredListener, Router>) -> Server<MonitoredListener, Router>,
    ) -> Self {
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (events, limits) = unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let server = settings(serve(listener, router))
            .on_limit(move |event| {
                let _ = events.send(*event);
            })
            .graceful_shutdown(async { drop(stopped.await) });
        Self {
            address,
            limits,
            stop,
            server: tokio::spawn(server.into_future()),
        }
    }

    /// The next use of a limit.
    pub(crate) async fn limit(&mut self) -> LimitReason {
        let event = support::soon("a limit", self.limits.recv()).await.unwrap();
        assert_eq!(event.peer.unwrap().ip(), self.address.ip());
        event.reason
    }

    /// Shuts the server down, and gives its account.
    pub(crate) async fn stop(self) -> Summary {
        self.stop.send(()).unwrap();
        support::soon("the end of the server", self.server)
            .await
            .unwrap()
            .unwrap()
    }

    /// Waits for its end, and gives its account.
    pub(crate) async fn ended(self) -> Summary {
        let ended = support::soon("the end of the server", self.server).await;
        ended.unwrap().unwrap()
    }

    /// Begins the shutdown.
    pub(crate) fn draining(self) -> JoinHandle<io::Result<Summary>> {
        self.stop.send(()).unwrap();
        self.server
    }
}

/// A body that never ends, and never waits.
pub(crate) fn endless() -> axum::body::Body {
    let chunks = futures::stream::repeat(Bytes::from_static(&[7; 16 << 10]));
    axum::body::Body::from_stream(futures::StreamExt::map(chunks, Ok::<_, io::Error>))
}
