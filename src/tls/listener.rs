//! A listener whose connections are monitored from before their TLS handshake.

use super::ServerStream;
use crate::errors::CloseReason;
use crate::monitor::Monitor;
use crate::stream::{AcceptRetry, MonitoredListener, MonitoredStream};
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A handshake takes two round trips and some computing, and a peer that types its part is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Each one that is under way has a task, a timer, a descriptor and rustls' buffers.
const LIMIT: usize = 1024;

/// A [`MonitoredListener`] whose connections have their TLS handshake behind them.
///
/// # Default
///
/// * time for a handshake: 10 s
/// * handshakes under way at a time: 1024
/// * failed handshakes: dropped without a word
///
/// Handshakes run beside one another, each in a task of the runtime: one that takes its time holds up no
/// other one and no [`accept`](Self::accept). At the limit no further connection is accepted, and waits in
/// the system's backlog. When the listener is dropped, so are the handshakes.
///
/// Connections are watched from before the handshake, with the configuration of the
/// [`MonitoredListener`]. A client that leaves half-way frees all that it had at once.
///
/// An example is that of the [module](super).
pub struct TlsListener {
    listener: MonitoredListener,
    acceptor: TlsAcceptor,
    patience: Duration,
    limit: usize,
    handshakes: JoinSet<Handshake>,
    failed: Option<Box<dyn FnMut(FailedHandshake) + Send + Sync>>,
}

/// One that has ended.
struct Handshake {
    peer: SocketAddr,
    monitor: Monitor,
    stream: io::Result<ServerStream>,
}

/// A handshake that came to nothing.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedHandshake {
    /// Whose it was.
    pub peer: SocketAddr,
    /// What went wrong.
    pub error: io::Error,
    /// Why the connection is over.
    pub reason: CloseReason,
}

impl TlsListener {
    /// Takes its connections from `listener`, and has `acceptor` do the handshakes.
    pub fn new(listener: MonitoredListener, acceptor: TlsAcceptor) -> Self {
        Self {
            // From the first moment: a client may leave before its handshake's task has its turn.
            listener: listener.delay_fin_by_default(),
            acceptor,
            patience: PATIENCE,
            limit: LIMIT,
            handshakes: JoinSet::new(),
            failed: None,
        }
    }

    /// How long a handshake may take. Default: 10 s.
    ///
    /// One that takes longer fails, and its connection closes, with [`CloseReason::TimedOut`].
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.patience = timeout;
        self
    }

    /// How many handshakes may be under way at a time, at least one. Default: 1024.
    ///
    /// It bounds the memory of clients that connect and say nothing. They hold up the others when all
    /// places are theirs: for as long as a handshake may take.
    #[must_use]
    pub fn max_handshakes(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// Has `failed` called for each handshake that came to nothing, from within [`accept`](Self::accept).
    #[must_use]
    pub fn on_failed_handshake(
        mut self,
        failed: impl FnMut(FailedHandshake) + Send + Sync + 'static,
    ) -> Self {
        self.failed = Some(Box::new(failed));
        self
    }

    /// Waits for the next connection whose handshake is done.
    ///
    /// The handshakes go on in between two calls. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// As [`MonitoredListener::accept`]. A failed handshake is none.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, no connection is lost.
    pub async fn accept(&mut self) -> io::Result<(ServerStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Polls for the next connection whose handshake is done. The waker of the last call is the one that is
    /// woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(ServerStream, SocketAddr)>> {
        self.poll(cx, |listener, cx| listener.poll_accept(cx))
    }

    /// Waits for the next connection whose handshake is done, as [`accept`](Self::accept), for servers that
    /// an error is not to end: as [`MonitoredListener::accept_retrying`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, no connection is lost.
    pub async fn accept_retrying(&mut self) -> (ServerStream, SocketAddr) {
        let mut retry = AcceptRetry::default();
        let next = poll_fn(|cx| {
            self.poll(cx, |listener, cx| {
                listener
                    .poll_accept_retrying(&mut retry, cx)
                    .map(Ok::<_, Infallible>)
            })
        });
        let Ok(accepted) = next.await;
        accepted
    }

    fn poll<E>(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut(
            &MonitoredListener,
            &mut Context<'_>,
        ) -> Poll<Result<(MonitoredStream<TcpStream>, SocketAddr), E>>,
    ) -> Poll<Result<(ServerStream, SocketAddr), E>> {
        loop {
            while let Poll::Ready(Some(ended)) = self.handshakes.poll_join_next(cx) {
                if let Some(accepted) = self.ended(ended) {
                    return Poll::Ready(Ok(accepted));
                }
            }
            if self.handshakes.len() >= self.limit {
                return Poll::Pending;
            }
            match next(&self.listener, cx) {
                Poll::Ready(Ok((stream, peer))) => self.begin(stream, peer),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The listener below, what makes the handshakes, and how long one may take.
    #[cfg(feature = "serve")]
    pub(crate) fn into_parts(self) -> (MonitoredListener, TlsAcceptor, Duration) {
        (self.listener, self.acceptor, self.patience)
    }

    fn begin(&mut self, stream: MonitoredStream<TcpStream>, peer: SocketAddr) {
        let (acceptor, patience) = (self.acceptor.clone(), self.patience);
        self.handshakes.spawn(async move {
            let monitor = stream.monitor();
            let shaking = stream.layer(|lower| async move {
                match tokio::time::timeout(patience, acceptor.accept(lower)).await {
                    Ok(shaken) => shaken,
                    Err(_) => Err(io::Error::new(
                        ErrorKind::TimedOut,
                        format!("hangup: no TLS handshake within {patience:?}"),
                    )),
                }
            });
            Handshake {
                peer,
                stream: shaking.await,
                monitor,
            }
        });
    }

    fn ended(&mut self, ended: Result<Handshake, JoinError>) -> Option<(ServerStream, SocketAddr)> {
        // A panic is that of a part that the program has given to rustls, and its message is told.
        let Handshake {
            peer,
            monitor,
            stream,
        } = ended.ok()?;
        match stream {
            Ok(stream) => Some((stream, peer)),
            Err(error) => {
                if let Some(failed) = &mut self.failed {
                    let told = monitor.close_reason();
                    failed(FailedHandshake {
                        peer,
                        reason: told.unwrap_or_else(|| CloseReason::from(&error)),
                        error,
                    });
                }
                None
            }
        }
    }

    /// Whether small writes leave at once: as [`MonitoredListener::nodelay`].
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.listener = self.listener.nodelay(nodelay);
        self
    }

    /// How many handshakes are under way, or have ended and were not told of yet.
    pub fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::local_addr`](tokio::net::TcpListener::local_addr).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The wrapped listener.
    pub fn get_ref(&self) -> &MonitoredListener {
        &self.listener
    }
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsListener")
            .field("listener", &self.listener)
            .field("handshake_timeout", &self.patience)
            .field("max_handshakes", &self.limit)
            .field("handshakes", &self.handshakes.len())
            .finish_non_exhaustive()
    }
}
