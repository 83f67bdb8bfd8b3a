//! Wraps any axum listener, so that its connections are monitored.

use super::accept::MonitoredAccept;
use crate::monitor::Monitor;
use crate::policy::MonitorConfig;
use crate::stream::{Connections, MonitoredStream};
use crate::watcher::Watchable;
use ::axum::serve::Listener;
use std::fmt;
use std::io;

/// Wraps any axum listener, such as a `UnixListener` or one that taps its streams. Its connections become
/// [`MonitoredStream`]s.
///
/// A connection that cannot be watched is dropped, and the next one is accepted.
///
/// ```no_run
/// use axum::Router;
/// use axum::routing::get;
/// use hangup::Monitor;
/// use hangup::axum::Monitored;
/// use tokio::net::UnixListener;
///
/// async fn idle(monitor: Monitor) {
///     println!("stopped: {}", monitor.closed().await);
/// }
///
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// let listener = Monitored::new(UnixListener::bind("/run/app.sock")?);
/// let router = Router::new().route("/", get(idle));
/// axum::serve(listener, router.into_make_service_with_connect_info::<Monitor>()).await
/// # }
/// ```
pub struct Monitored<L> {
    listener: L,
    config: MonitorConfig,
    connections: Connections,
}

impl<L> Monitored<L> {
    /// Wraps `listener`.
    ///
    /// ```
    /// use axum::serve::Listener;
    /// use hangup::axum::Monitored;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let mut listener = Monitored::new(listener);
    /// let client = tokio::net::TcpStream::connect(address).await?;
    /// let (stream, peer) = listener.accept().await;
    /// assert_eq!(peer, client.local_addr()?);
    /// assert!(!stream.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(listener: L) -> Self {
        Self {
            listener,
            config: MonitorConfig::default(),
            connections: Connections::new(),
        }
    }

    /// Sets the configuration of the connections. Default: [`MonitorConfig::default`].
    ///
    /// ```
    /// use hangup::axum::Monitored;
    /// use hangup::{HalfClose, MonitorConfig};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let config = MonitorConfig::new().half_close(HalfClose::Allow);
    /// let listener = Monitored::new(listener).config(config);
    /// assert!(listener.connections().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn config(mut self, config: MonitorConfig) -> Self {
        self.config = config;
        self
    }

    /// The open connections: see [`MonitoredListener::connections`](crate::MonitoredListener::connections).
    ///
    /// ```
    /// use axum::serve::Listener;
    /// use hangup::axum::Monitored;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let mut listener = Monitored::new(tokio::net::TcpListener::bind("127.0.0.1:0").await?);
    /// let connections = listener.connections();
    /// let _client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (_stream, _) = listener.accept().await;
    /// assert_eq!(connections.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }
}

impl<L> Listener for Monitored<L>
where
    L: Listener,
    L::Io: Watchable,
{
    type Io = MonitoredStream<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (io, address) = self.listener.accept().await;
            if let Ok(stream) = MonitoredStream::with_config(io, &self.config) {
                self.connections.add(&stream.monitor());
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl<L> MonitoredAccept for Monitored<L>
where
    L: Listener,
    L::Io: Watchable,
{
    fn monitor(io: &Self::Io) -> Monitor {
        io.monitor()
    }
}

impl<L: fmt::Debug> fmt::Debug for Monitored<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitored")
            .field("listener", &self.listener)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
