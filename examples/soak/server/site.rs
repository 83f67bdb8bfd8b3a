//! The server, and the counts that it must have at its end.

use super::pages::Pages;
use crate::waiting::{LONGEST, within};
use anyhow::{Context, ensure};
use hangup::serve::{LimitReason, Summary, serve};
use hangup::{MonitoredListener, StallPolicy};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The longest target and the largest head that the server takes. One more byte is refused.
pub(crate) const TARGET: usize = 8 << 10;
pub(crate) const HEAD: usize = 32 << 10;

/// How long a client may be silent. A healthy one on a busy machine is not.
const SILENCE: Duration = Duration::from_secs(8);

/// The server, and what its clients have done.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) pages: Pages,
    expected: Mutex<Expected>,
    server: Mutex<Option<Server>>,
}

struct Server {
    stop: oneshot::Sender<()>,
    served: JoinHandle<io::Result<Summary>>,
}

#[derive(Default)]
struct Expected {
    connections: u64,
    limits: HashMap<LimitReason, u64>,
}

impl Site {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let pages = Pages::new()?;
        let listener = MonitoredListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let server = serve(listener, pages.router())
            .max_connections_per_address(usize::MAX)
            .max_uri_length(TARGET)
            .max_head_size(HEAD)
            .head_timeout(SILENCE)
            .keep_alive_timeout(SILENCE)
            .stall_policy(StallPolicy::new(1, SILENCE))
            .shutdown_timeout(LONGEST / 2)
            .graceful_shutdown(async { drop(stopped.await) });
        let served = tokio::spawn(server.into_future());
        Ok(Self {
            address,
            pages,
            expected: Mutex::default(),
            server: Mutex::new(Some(Server { stop, served })),
        })
    }

    /// A client has connected, and will provoke this limit.
    pub(crate) fn expect(&self, limit: Option<LimitReason>) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.connections += 1;
        if let Some(limit) = limit {
            *expected.limits.entry(limit).or_default() += 1;
        }
    }

    /// Stops the server when all clients are gone, and compares its counts with theirs.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        let server = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Server { stop, served } = server.context("the server is closed")?;
        // A server that has failed no longer listens.
        let _ = stop.send(());
        let summary = within("the server's shutdown", served).await???;
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let (connections, limits) = (expected.connections, std::mem::take(&mut expected.limits));
        ensure!(
            summary.connections() == connections && summary.aborted() == 0,
            "the server reports: {summary}; its clients made {connections} connections"
        );
        let reported: HashMap<_, _> = summary.limits().iter().copied().collect();
        ensure!(
            reported == limits,
            "the server reports the limits {reported:?}; its clients provoked {limits:?}"
        );
        Ok(())
    }
}
