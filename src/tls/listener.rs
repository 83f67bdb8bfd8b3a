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

/// The default time limit: far more than the two round trips and the cryptography of a handshake need.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The default number of concurrent handshakes. Each has a task, a timer, a descriptor and rustls' buffers.
const MAX: usize = 1024;

/// A listener whose connections have completed their TLS handshake.
///
/// # Default
///
/// * time for a handshake: 10 s
/// * handshakes in progress: 1024
/// * failed handshakes: dropped silently
///
/// Handshakes run concurrently, each in a task of the runtime, so a slow one delays neither the others nor
/// [`accept`](Self::accept). At the limit, further connections wait in the system's backlog. Dropping the listener
/// drops the handshakes.
///
/// Connections are watched from before the handshake, with the configuration of the [`MonitoredListener`]. A client
/// that leaves during the handshake frees its resources at once.
///
/// The [module](super) has an example.
pub struct TlsListener {
    listener: MonitoredListener,
    acceptor: TlsAcceptor,
    timeout: Duration,
    max: usize,
    handshakes: JoinSet<Handshake>,
    failed: Option<OnFailedHandshake>,
}

/// The callback for failed handshakes.
pub(crate) type OnFailedHandshake = Box<dyn FnMut(FailedHandshake) + Send + Sync>;

/// The settings of a [`TlsListener`], for a server that runs the handshakes itself.
#[cfg(feature = "serve")]
pub(crate) struct HandshakeSettings {
    pub(crate) timeout: Duration,
    pub(crate) max: usize,
    pub(crate) failed: Option<OnFailedHandshake>,
}

/// Runs `handshake`, and fails with `TimedOut` if it takes longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    handshake: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let late = |_| {
        Err(io::Error::new(
            ErrorKind::TimedOut,
            format!("hangup: no TLS handshake within {limit:?}"),
        ))
    };
    let limited = tokio::time::timeout(limit, handshake).await;
    limited.unwrap_or_else(late)
}

/// A handshake that has ended.
struct Handshake {
    peer: SocketAddr,
    monitor: Monitor,
    stream: io::Result<ServerStream>,
}

/// A handshake that failed: the argument of the callback of
/// [`on_failed_handshake`](TlsListener::on_failed_handshake).
///
/// | `reason` | usual cause |
/// |---|---|
/// | [`PeerClosed`](CloseReason::PeerClosed), [`Reset`](CloseReason::Reset) | a port scanner, a health check, a client that gave up |
/// | [`Tls`](CloseReason::Tls) | a client without a common version or cipher, or plain HTTP on this port |
/// | [`TlsAlert`](CloseReason::TlsAlert) | the client refused our certificate |
/// | [`TimedOut`](CloseReason::TimedOut) | longer than [`handshake_timeout`](TlsListener::handshake_timeout) |
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedHandshake {
    /// The address of the client.
    pub peer: SocketAddr,
    /// What went wrong.
    pub error: io::Error,
    /// Why the connection closed.
    pub reason: CloseReason,
}

impl FailedHandshake {
    pub(crate) fn new(peer: SocketAddr, error: io::Error, monitor: &Monitor) -> Self {
        let reason = monitor.close_reason();
        Self {
            peer,
            reason: reason.unwrap_or_else(|| CloseReason::from(&error)),
            error,
        }
    }
}

impl TlsListener {
    /// Takes connections from `listener`, and lets `acceptor` do the handshakes.
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener = TlsListener::new(listener, acceptor());
    /// assert_eq!(listener.handshakes(), 0);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    pub fn new(listener: MonitoredListener, acceptor: TlsAcceptor) -> Self {
        Self {
            // From the start: a client may leave before the task of its handshake runs.
            listener: listener.delay_fin_by_default(),
            acceptor,
            timeout: TIMEOUT,
            max: MAX,
            handshakes: JoinSet::new(),
            failed: None,
        }
    }

    /// How long a handshake may take. Default: 10 s.
    ///
    /// A handshake that takes longer fails, and its connection closes with [`CloseReason::TimedOut`].
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::tls::TlsListener;
    /// use hangup::{CloseReason, MonitoredListener};
    /// use std::time::Duration;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let timeout = Duration::from_millis(50);
    /// let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
    /// let mut listener = TlsListener::new(listener, acceptor())
    ///     .handshake_timeout(timeout)
    ///     .on_failed_handshake(move |handshake| drop(failed.send(handshake.reason)));
    /// let _silent = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// tokio::select! {
    ///     _ = listener.accept() => unreachable!("nobody sends a ClientHello"),
    ///     reason = failures.recv() => assert_eq!(reason, Some(CloseReason::TimedOut)),
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many handshakes may be in progress at a time, at least one. Default: 1024.
    ///
    /// This bounds the memory that silent clients can hold. While they hold all places, other clients wait, at most for
    /// the [`handshake_timeout`](Self::handshake_timeout). Under `hangup::serve` they do not wait: the server aborts
    /// the oldest handshake to make room.
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener = TlsListener::new(listener, acceptor()).max_handshakes(64);
    /// assert!(format!("{listener:?}").contains("max_handshakes: 64"));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    #[must_use]
    pub fn max_handshakes(mut self, limit: usize) -> Self {
        self.max = limit.max(1);
        self
    }

    /// Calls `failed` for each failed handshake.
    ///
    /// It is called from within [`accept`](Self::accept), or from the task of the connection under `hangup::serve`. It
    /// must not block: it would delay the connections that are ready. Without it, failed handshakes are dropped
    /// silently.
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
    /// let mut listener = TlsListener::new(listener, acceptor())
    ///     .on_failed_handshake(move |handshake| drop(failed.send(handshake)));
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let address = client.local_addr()?;
    /// drop(client);
    /// tokio::select! {
    ///     _ = listener.accept() => unreachable!("the client has left"),
    ///     failure = failures.recv() => assert_eq!(failure.unwrap().peer, address),
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    #[must_use]
    pub fn on_failed_handshake(
        mut self,
        failed: impl FnMut(FailedHandshake) + Send + Sync + 'static,
    ) -> Self {
        self.failed = Some(Box::new(failed));
        self
    }

    /// Waits for the next connection that has completed its handshake.
    ///
    /// Handshakes continue between two calls. Call it within a runtime.
    ///
    /// # Errors
    ///
    /// As [`MonitoredListener::accept`]. A failed handshake is not an error. If no error may end the server, use
    /// [`accept_retrying`](Self::accept_retrying).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, no connection is lost.
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut listener = TlsListener::new(listener, acceptor());
    /// # let address = listener.local_addr()?;
    /// # let stopped = async { drop(tokio::net::TcpStream::connect(address).await) };
    /// tokio::select! {
    ///     accepted = listener.accept() => {
    ///         let (stream, peer) = accepted?;
    ///         println!("{peer} speaks {:?}", stream.get_ref().get_ref().1.protocol_version());
    ///     }
    ///     () = stopped => {} // a shutdown, for instance: no connection is lost
    /// }
    /// assert!(listener.handshakes() <= 1);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    pub async fn accept(&mut self) -> io::Result<(ServerStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Polls for the next connection that has completed its handshake.
    ///
    /// Only the waker of the last call is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use std::task::{Context, Waker};
    ///
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut listener = TlsListener::new(listener, acceptor());
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(listener.poll_accept(&mut cx).is_pending()); // nobody has connected
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    pub fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(ServerStream, SocketAddr)>> {
        self.poll(cx, |listener, cx| listener.poll_accept(cx))
    }

    /// Like [`accept`](Self::accept), but retries after an error, as [`MonitoredListener::accept_retrying`] does.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, no connection is lost.
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut listener = TlsListener::new(listener, acceptor());
    /// let server = tokio::spawn(async move {
    ///     loop {
    ///         let (stream, peer) = listener.accept_retrying().await;
    ///         println!("{peer}: {:?}", stream.monitor().transfer());
    ///     }
    /// });
    /// # tokio::task::yield_now().await;
    /// assert!(!server.is_finished()); // it ends only when its task does
    /// server.abort();
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
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
            if self.handshakes.len() >= self.max {
                return Poll::Pending;
            }
            match next(&self.listener, cx) {
                Poll::Ready(Ok((stream, peer))) => self.begin(stream, peer),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The wrapped listener, the acceptor, and the settings of the handshakes.
    #[cfg(feature = "serve")]
    pub(crate) fn into_parts(self) -> (MonitoredListener, TlsAcceptor, HandshakeSettings) {
        let settings = HandshakeSettings {
            timeout: self.timeout,
            max: self.max,
            failed: self.failed,
        };
        (self.listener, self.acceptor, settings)
    }

    fn begin(&mut self, stream: MonitoredStream<TcpStream>, peer: SocketAddr) {
        let (acceptor, timeout) = (self.acceptor.clone(), self.timeout);
        self.handshakes.spawn(async move {
            let monitor = stream.monitor();
            let layered =
                stream.layer(|lower| async move { within(timeout, acceptor.accept(lower)).await });
            Handshake {
                peer,
                stream: layered.await,
                monitor,
            }
        });
    }

    fn ended(&mut self, ended: Result<Handshake, JoinError>) -> Option<(ServerStream, SocketAddr)> {
        // A panic comes from code that the program gave to rustls, such as a certificate resolver. The panic hook has
        // printed it.
        let Handshake {
            peer,
            monitor,
            stream,
        } = ended.ok()?;
        match stream {
            Ok(stream) => Some((stream, peer)),
            Err(error) => {
                if let Some(failed) = &mut self.failed {
                    failed(FailedHandshake::new(peer, error, &monitor));
                }
                None
            }
        }
    }

    /// Sets `TCP_NODELAY` for the accepted connections, so that small writes are sent immediately: as
    /// [`MonitoredListener::nodelay`].
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener = TlsListener::new(listener, acceptor()).nodelay(true);
    /// assert_eq!(listener.handshakes(), 0);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.listener = self.listener.nodelay(nodelay);
        self
    }

    /// The number of handshakes that are in progress, or have ended and were not returned by
    /// [`accept`](Self::accept) yet.
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener = TlsListener::new(listener, acceptor());
    /// assert_eq!(listener.handshakes(), 0);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    pub fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::local_addr`](tokio::net::TcpListener::local_addr).
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let listener = TlsListener::new(listener, acceptor());
    /// assert_eq!(listener.local_addr()?, address);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The wrapped listener.
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    ///
    /// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
    /// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    /// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    /// #     let config = rustls::ServerConfig::builder_with_provider(provider)
    /// #         .with_safe_default_protocol_versions()
    /// #         .unwrap()
    /// #         .with_no_client_auth()
    /// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    /// #     TlsAcceptor::from(std::sync::Arc::new(config))
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener = TlsListener::new(listener, acceptor());
    /// assert!(listener.get_ref().local_addr()?.ip().is_loopback());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    pub fn get_ref(&self) -> &MonitoredListener {
        &self.listener
    }
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsListener")
            .field("listener", &self.listener)
            .field("handshake_timeout", &self.timeout)
            .field("max_handshakes", &self.max)
            .field("handshakes", &self.handshakes.len())
            .finish_non_exhaustive()
    }
}
