//! The loop of the server: accepts connections, and shuts down.
//!
//! ```text
//!             ┌────────────── accept ──▶ limits ──▶ task of the connection ──▶ registry
//!  serving ───┤
//!             └─ signal, graceful_shutdown, shutdown_at_once
//!                     │
//!                     ▼
//!  draining: idle connections are closed, busy ones finish their requests
//!                     │ shutdown_timeout, or a second signal
//!                     ▼
//!  aborting: every connection is reset; its task ends at its next poll
//!                     │ all tasks have ended, or ABORT is over
//!                     ▼
//!                  Summary
//! ```

use super::connection::{Command, ConnectionState, ServerState};
use super::listener::{Setup, sealed::Accept};
use super::registry::Registry;
use super::shutdown::Shutdown;
use super::signals::Signals;
use super::summary::Drained;
use super::task::{self, Versions};
use super::{LimitReason, Listener, RequestBody, Summary};
use crate::errors::{ErrorClass, classify};
#[cfg(feature = "tracing")]
use crate::observe::call_foreign;
use crate::policy::MonitorConfig;
use crate::stream::{AcceptRetry, is_of_one_connection};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::error::Error;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// The time limit for aborted connections. Their tasks end at the next poll, unless a handler blocks its worker.
const ABORT: Duration = Duration::from_secs(1);

/// Runs the server to its end.
pub(super) async fn run<L, S, B>(
    listener: L,
    service: S,
    server: Arc<ServerState>,
    versions: Versions,
    nodelay: bool,
    shutdown: Shutdown,
) -> io::Result<Summary>
where
    L: Listener,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let setup = setup(&server, versions, nodelay);
    // Otherwise every connection would fail.
    server.limits.check()?;
    setup.monitor.check()?;
    let mut stop = Stop::new(shutdown)?;
    let registry = Arc::new(Registry::default());
    let mut connections = 0;
    let mut accept = listener.into_accept(setup);
    accept.check()?;
    let mut retry = AcceptRetry::default();
    let mut failing = None;
    loop {
        let next = poll_fn(|cx| {
            let accept = |cx: &mut Context<'_>| {
                let accepted = accept.poll_accept(cx);
                if let Poll::Ready(Err(error)) = &accepted
                    && !is_of_one_connection(error)
                {
                    let kind = (error.kind(), error.raw_os_error());
                    if failing.replace(kind) != Some(kind) {
                        #[cfg(feature = "tracing")]
                        call_foreign(|| {
                            ::tracing::warn!(
                                target: crate::observe::tracing::TARGET,
                                "no connection can be accepted: {error}",
                            );
                        });
                        accept.accept_failed(error);
                    }
                    if classify(error) == ErrorClass::LocalResources {
                        registry.make_room();
                    }
                }
                accepted
            };
            retry.poll(cx, accept, |_| {})
        });
        let (accepted, remote) = tokio::select! {
            biased;
            () = stop.graceful() => break,
            accepted = next => accepted,
        };
        failing = None;
        let monitor = <L::Accept as Accept>::monitor(&accepted);
        let connection = Arc::new(ConnectionState::new(server.clone(), monitor, remote));
        if let Some(entry) = registry.admit(&connection) {
            connections += 1;
            let service = service.clone();
            tokio::spawn(task::run::<L::Accept, S, B>(
                accepted, connection, entry, service, versions,
            ));
        }
    }
    drop(accept);
    let drained = drain(&registry, &mut stop, server.limits.shutdown_timeout).await;
    Ok(Summary::new(connections, drained, server.report.counts()))
}

/// What a listener applies to its connections, unless the program has configured the listener.
fn setup(server: &ServerState, versions: Versions, nodelay: bool) -> Setup {
    let mut monitor = MonitorConfig::new().dead_peer_timeout(server.limits.dead_peer_timeout);
    if let Some(policy) = server.limits.stall_policy {
        // A reset frees the memory that the kernel holds for a stalled client.
        monitor = monitor.stall(policy).reset_on_stall(true);
    }
    #[cfg(not(feature = "tls"))]
    let _ = versions;
    Setup {
        monitor,
        nodelay,
        #[cfg(feature = "tls")]
        alpn: match versions.http2 {
            true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            false => vec![b"http/1.1".to_vec()],
        },
    }
}

/// Tells every connection to end after its present request, and waits. After `timeout`, or a second signal,
/// the rest is aborted with a reset, so that no client takes a part of a response for the whole.
async fn drain(registry: &Registry, stop: &mut Stop, timeout: Duration) -> Drained {
    let open = registry.len();
    registry.for_each(|connection| connection.command(Command::Drain));
    let in_time = tokio::select! {
        biased;
        () = registry.empty() => true,
        () = stop.at_once() => false,
        () = tokio::time::sleep(timeout) => false,
    };
    if in_time {
        return Drained {
            finished: open,
            aborted: 0,
        };
    }
    let mut aborted = 0;
    registry.for_each(|connection| {
        aborted += 1;
        connection.limit(LimitReason::Shutdown);
        // An upgraded connection no longer has a task of ours that could obey the command. And before the command: the
        // task drops the stream, and a drop sends a FIN.
        connection.monitor.abort();
        connection.command(Command::End);
    });
    // The runtime drops the connections that do not end in this time.
    let _ = tokio::time::timeout(ABORT, registry.empty()).await;
    Drained {
        finished: open.saturating_sub(aborted),
        aborted,
    }
}

/// The conditions that end the server.
struct Stop {
    graceful: Pin<Box<dyn Future<Output = ()> + Send>>,
    at_once: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    signals: Option<Signals>,
}

impl Stop {
    fn new(shutdown: Shutdown) -> io::Result<Self> {
        let signals = shutdown.on_signals.then(Signals::new).transpose()?;
        Ok(Self {
            graceful: shutdown.graceful.unwrap_or_else(|| Box::pin(pending())),
            at_once: shutdown.at_once,
            signals,
        })
    }

    /// Resolves when the server has to shut down gracefully.
    async fn graceful(&mut self) {
        let ended = tokio::select! {
            () = &mut self.graceful => false,
            () = next(&mut self.signals) => false,
            () = requested(&mut self.at_once) => true,
        };
        if ended {
            // So that `at_once` resolves too.
            self.at_once = Some(Box::pin(std::future::ready(())));
        }
    }

    /// Resolves when the server has to end immediately.
    async fn at_once(&mut self) {
        tokio::select! {
            () = next(&mut self.signals) => {}
            () = requested(&mut self.at_once) => {}
        }
    }
}

/// Waits for the next signal; forever if the server does not listen to signals.
async fn next(signals: &mut Option<Signals>) {
    match signals {
        Some(signals) => signals.next().await,
        None => pending().await,
    }
}

/// Waits for what ends the server at once; forever if there is nothing.
async fn requested(at_once: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>) {
    match at_once {
        Some(at_once) => at_once.await,
        None => pending().await,
    }
}
