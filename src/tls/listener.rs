//! A listener whose connections are monitored from before their TLS handshake.

use super::failed_handshake::FailedHandshake;
#[cfg(feature = "serve")]
use super::handshake::HandshakeSettings;
use super::handshake::{Handshake, OnFailedHandshake};
use crate::stream::MonitoredListener;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
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
///
/// | a handshake that | ends with |
/// |---|---|
/// | completes | a connection, returned by [`accept`](Self::accept) |
/// | fails, or whose client leaves | a [`FailedHandshake`](super::FailedHandshake), if a callback is set |
/// | takes too long | the same, with the kind [`TimedOut`](io::ErrorKind::TimedOut) |
///
/// # To renew the certificate
///
/// rustls asks a resolver for the certificate at each handshake. A resolver that takes it from a lock renews it without a restart.
/// Connections that are open keep the one that they began with:
///
/// ```
/// # #[cfg(feature = "ring")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use hangup::MonitoredListener;
/// use hangup::tls::TlsListener;
/// use hangup::tls::tokio_rustls::rustls::crypto::ring::{default_provider, sign::any_supported_type};
/// use hangup::tls::tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
/// use hangup::tls::tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer, sign::CertifiedKey};
/// use hangup::tls::tokio_rustls::TlsAcceptor;
/// use std::sync::{Arc, RwLock};
///
/// #[derive(Debug)]
/// struct Renewable(RwLock<Arc<CertifiedKey>>);
///
/// impl ResolvesServerCert for Renewable {
///     fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
///         Some(self.0.read().unwrap().clone())
///     }
/// }
///
/// /// As a program reads it from its files.
/// fn read() -> Result<Arc<CertifiedKey>, Box<dyn std::error::Error>> {
///     let own = rcgen::generate_simple_self_signed(["localhost".into()])?;
///     let key = any_supported_type(&PrivateKeyDer::from(own.signing_key))?;
///     Ok(Arc::new(CertifiedKey::new(vec![own.cert.der().clone()], key)))
/// }
///
/// let renewable = Arc::new(Renewable(RwLock::new(read()?)));
/// let config = ServerConfig::builder_with_provider(default_provider().into())
///     .with_safe_default_protocol_versions()?
///     .with_no_client_auth()
///     .with_cert_resolver(renewable.clone());
/// let acceptor = TlsAcceptor::from(Arc::new(config));
/// let listener = TlsListener::new(MonitoredListener::bind("127.0.0.1:0").await?, acceptor);
///
/// let old = renewable.0.read().unwrap().clone();
/// *renewable.0.write().unwrap() = read()?; // on SIGHUP, or once a day
/// assert_ne!(renewable.0.read().unwrap().cert, old.cert);
/// # drop(listener);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "ring"))]
/// # fn main() {}
/// ```
pub struct TlsListener {
    pub(super) listener: MonitoredListener,
    pub(super) acceptor: TlsAcceptor,
    pub(super) timeout: Duration,
    pub(super) max: usize,
    pub(super) handshakes: JoinSet<Handshake>,
    pub(super) failed: Option<OnFailedHandshake>,
}

impl TlsListener {
    /// Takes connections from `listener`, and lets `acceptor` do the handshakes.
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener = TlsListener::new(listener, acceptor);
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
    /// A handshake that takes longer fails, and its connection closes with [`CloseReason::TimedOut`](crate::CloseReason::TimedOut).
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::tls::TlsListener;
    /// use hangup::{CloseReason, MonitoredListener};
    /// use std::time::Duration;
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let timeout = Duration::from_millis(50);
    /// let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
    /// let mut listener = TlsListener::new(listener, acceptor)
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
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener = TlsListener::new(listener, acceptor).max_handshakes(64);
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
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
    /// let mut listener = TlsListener::new(listener, acceptor)
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

    /// Sets `TCP_NODELAY` for the accepted connections, so that small writes are sent immediately: as
    /// [`MonitoredListener::nodelay`].
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener = TlsListener::new(listener, acceptor).nodelay(true);
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
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener = TlsListener::new(listener, acceptor);
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
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let listener = TlsListener::new(listener, acceptor);
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
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener = TlsListener::new(listener, acceptor);
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
