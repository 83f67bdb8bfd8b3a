//! A listener whose connections are monitored.

use super::connections::Connections;
use super::inherited::Inherited;
use super::listener_options::ListenerOptions;
use crate::observe::call_foreign;
use crate::policy::MonitorConfig;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::OnceLock;
use tokio::net::{TcpListener, ToSocketAddrs};

/// A [`TcpListener`] that accepts connections as [`MonitoredStream`](crate::MonitoredStream)s.
///
/// ```
/// use hangup::{CloseReason, MonitoredListener};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let (stream, address) = listener.accept().await?;
/// assert_eq!(address, client.local_addr()?);
/// drop(client);
/// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
/// # Ok(())
/// # }
/// ```
pub struct MonitoredListener {
    pub(super) listener: TcpListener,
    pub(super) config: MonitorConfig,
    pub(super) nodelay: Option<bool>,
    pub(super) on_error: Box<OnError>,
    /// Created on first use.
    pub(super) connections: OnceLock<Connections>,
    /// Whether nobody else accepts from the socket: it was created here.
    pub(super) is_ours: bool,
    /// Found out before the first connection is accepted.
    pub(super) inherited: OnceLock<Inherited>,
    /// The listener's own options, if connections may be waiting that have those of an earlier configuration.
    lost: Option<ListenerOptions>,
}

// As a `TcpListener`: the callback is shared, and may not be left in the middle of a change.
impl UnwindSafe for MonitoredListener {}
impl RefUnwindSafe for MonitoredListener {}

type OnError = dyn Fn(&io::Error) + Send + Sync;

impl MonitoredListener {
    /// Binds to `address`, as [`TcpListener::bind`] does.
    ///
    /// On Linux the listener itself gets the options of [`config`](Self::config) and [`nodelay`](Self::nodelay) when it is
    /// first asked for a connection, because connections inherit them: this takes fewer system calls for each. It gets its
    /// own options back with another configuration, and from [`into_inner`](Self::into_inner). A duplicate of the listener
    /// shares its options. A listener of [`from_listener`](Self::from_listener) is not changed, nor is one with
    /// `SO_REUSEPORT`.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::bind`].
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut listener = Self::from_listener(TcpListener::bind(address).await?);
        listener.is_ours = true;
        Ok(listener)
    }

    /// Takes connections from `listener`.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let listener = MonitoredListener::from_listener(listener);
    /// assert_eq!(listener.local_addr()?, address);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// For the options that [`bind`](Self::bind) does not have, such as the length of the backlog, or a port that several processes
    /// share (`SO_REUSEPORT`, socket(7)):
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use tokio::net::TcpSocket;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = TcpSocket::new_v4()?;
    /// socket.set_reuseaddr(true)?;
    /// # #[cfg(target_os = "linux")]
    /// socket.set_reuseport(true)?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// let listener = MonitoredListener::from_listener(socket.listen(4096)?);
    /// # let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// assert!(!stream.is_closed());
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_listener(listener: TcpListener) -> Self {
        Self {
            listener,
            config: MonitorConfig::default(),
            nodelay: None,
            on_error: Box::new(|_| {}),
            connections: OnceLock::new(),
            is_ours: false,
            inherited: OnceLock::new(),
            lost: None,
        }
    }

    /// Sets the configuration of the connections. Default: [`MonitorConfig::default`].
    ///
    /// It is applied to each connection, so a value that is out of its range (see
    /// [`dead_peer_timeout`](MonitorConfig::dead_peer_timeout)) is an error of each [`accept`](Self::accept), and
    /// [`accept_retrying`](Self::accept_retrying) drops each connection. Call [`MonitorConfig::check`] first.
    ///
    /// ```
    /// use hangup::{HalfClose, MonitorConfig, MonitoredListener, Status};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let config = MonitorConfig::new().half_close(HalfClose::Allow);
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?.config(config);
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// client.shutdown().await?;
    /// let mut status = stream.monitor().subscribe();
    /// status.wait_for(|status| *status == Status::PeerFinished).await.unwrap();
    /// assert!(!stream.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn config(mut self, config: MonitorConfig) -> Self {
        self.undo();
        self.config = config;
        self
    }

    /// Whether small writes are sent immediately (`TCP_NODELAY`, tcp(7)). Default: the system's default, which is no;
    /// a [`Server`](crate::serve::Server) sets it.
    ///
    /// Without it, a small write waits for the acknowledgement of the write before, which the peer's system may
    /// delay by 40 ms. With it, each separate write becomes a packet of its own.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?.nodelay(true);
    /// # let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// assert!(stream.get_ref().nodelay()?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.undo();
        self.nodelay = Some(nodelay);
        self
    }

    /// Calls the callback of [`on_accept_error`](Self::on_accept_error).
    pub(crate) fn report_accept_error(&self, error: &io::Error) {
        // Foreign code, which may panic.
        call_foreign(|| (self.on_error)(error));
    }

    /// Sets the values that the user has not set.
    #[cfg(feature = "serve")]
    pub(crate) fn or(mut self, config: &MonitorConfig, nodelay: bool) -> Self {
        self.undo();
        self.config.or(config);
        self.nodelay.get_or_insert(nodelay);
        self
    }

    /// What the connections inherit.
    pub(super) fn inherited(&self) -> &Inherited {
        self.inherited.get_or_init(|| {
            let (config, lost) = (&self.config, self.lost.clone());
            Inherited::new(&self.listener, self.is_ours, lost, config, self.nodelay)
        })
    }

    /// Takes back what the listener was given for the connections of the present configuration.
    fn undo(&mut self) {
        if let Some(inherited) = self.inherited.take() {
            self.lost = inherited.undo(&self.listener);
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn delay_fin_by_default(mut self) -> Self {
        self.config.delay_fin_by_default();
        self
    }

    /// Calls `f` for each error after which [`accept_retrying`](Self::accept_retrying) continues. Default: nothing.
    ///
    /// While descriptors or memory have run out, it is called for each attempt, ten times a second.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0")
    ///     .await?
    ///     .on_accept_error(|error| eprintln!("cannot accept: {error}"));
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (_, address) = listener.accept_retrying().await;
    /// assert_eq!(address, client.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on_accept_error(mut self, f: impl Fn(&io::Error) + Send + Sync + 'static) -> Self {
        self.on_error = Box::new(f);
        self
    }

    /// The open connections among those that are accepted from now on, to end them at the end of the program.
    ///
    /// For a `TlsListener`, call this on its `get_ref`. A program that never calls it pays nothing.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredListener};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let connections = listener.connections();
    /// let _client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// assert_eq!(connections.len(), 1);
    /// connections.close_all();
    /// assert_eq!(stream.closed().await, CloseReason::Aborted);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connections(&self) -> Connections {
        self.connections.get_or_init(Connections::new).clone()
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::local_addr`].
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// assert!(listener.local_addr()?.ip().is_loopback());
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The wrapped listener.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// listener.get_ref().set_ttl(64)?;
    /// assert_eq!(listener.get_ref().ttl()?, 64);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_ref(&self) -> &TcpListener {
        &self.listener
    }

    /// Takes the wrapped listener out.
    ///
    /// Connections that wait to be accepted keep the options that they have inherited: see [`bind`](Self::bind).
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let listener: tokio::net::TcpListener = listener.into_inner();
    /// assert!(listener.local_addr()?.ip().is_loopback());
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_inner(mut self) -> TcpListener {
        self.undo();
        self.listener
    }
}

impl fmt::Debug for MonitoredListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitoredListener")
            .field("listener", &self.listener)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
