//! A listener whose connections are monitored.

use super::accept::AcceptRetry;
use super::monitored_stream::MonitoredStream;
use crate::policy::MonitorConfig;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

/// A [`TcpListener`] whose connections come as [`MonitoredStream`]s.
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
    listener: TcpListener,
    config: MonitorConfig,
    nodelay: Option<bool>,
    on_error: Box<OnError>,
}

type OnError = dyn Fn(&io::Error) + Send + Sync;

impl MonitoredListener {
    /// Binds to `address`, as [`TcpListener::bind`] does.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::bind`].
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::from_listener(TcpListener::bind(address).await?))
    }

    /// Takes its connections from `listener`.
    pub fn from_listener(listener: TcpListener) -> Self {
        Self {
            listener,
            config: MonitorConfig::default(),
            nodelay: None,
            on_error: Box::new(|_| {}),
        }
    }

    /// How the connections are watched. Default: [`MonitorConfig::default`].
    #[must_use]
    pub fn config(mut self, config: MonitorConfig) -> Self {
        self.config = config;
        self
    }

    /// Whether small writes leave at once (`TCP_NODELAY`, tcp(7)). Default: the system's, which is no;
    /// a [`Server`](crate::serve::Server) says yes.
    ///
    /// Without it a small write waits for the acknowledgement of the one before, which the peer's system may
    /// put off for 40 ms. With it each write that is made alone is a packet of its own.
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
        self.nodelay = Some(nodelay);
        self
    }

    /// Calls what was given to [`on_accept_error`](Self::on_accept_error).
    #[cfg(feature = "serve")]
    pub(crate) fn report_accept_error(&self, error: &io::Error) {
        (self.on_error)(error);
    }

    /// Sets what was not set.
    #[cfg(feature = "serve")]
    pub(crate) fn or(mut self, config: &MonitorConfig, nodelay: bool) -> Self {
        self.config.or(config);
        self.nodelay.get_or_insert(nodelay);
        self
    }

    #[cfg(feature = "tls")]
    pub(crate) fn delay_fin_by_default(mut self) -> Self {
        self.config.delay_fin_by_default();
        self
    }

    /// What to do with an error that [`accept_retrying`](Self::accept_retrying) goes on after. Default: nothing.
    ///
    /// It is called for each try: ten times a second while there are no descriptors.
    #[must_use]
    pub fn on_accept_error(mut self, f: impl Fn(&io::Error) + Send + Sync + 'static) -> Self {
        self.on_error = Box::new(f);
        self
    }

    pub(crate) fn poll_accept_retrying(
        &self,
        retry: &mut AcceptRetry,
        cx: &mut Context<'_>,
    ) -> Poll<(MonitoredStream<TcpStream>, SocketAddr)> {
        retry.poll(
            cx,
            |cx| self.poll_accept(cx),
            |error| (self.on_error)(error),
        )
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::accept`], of which a server should go on after all (a client that left
    /// again, a limit on descriptors that is reached for the moment), and those of
    /// [`MonitoredStream::new`]: the connection is dropped then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, no connection is lost.
    pub async fn accept(&self) -> io::Result<(MonitoredStream<TcpStream>, SocketAddr)> {
        let (io, address) = self.listener.accept().await?;
        Ok((self.wrap(io)?, address))
    }

    fn wrap(&self, io: TcpStream) -> io::Result<MonitoredStream<TcpStream>> {
        if let Some(nodelay) = self.nodelay {
            io.set_nodelay(nodelay)?;
        }
        MonitoredStream::with_config(io, &self.config)
    }

    /// Waits for the next connection, whatever becomes of others: as [`accept`](Self::accept), for servers
    /// that an error is not to end.
    ///
    /// If the error is of one connection (a client that left again), the next one is taken at once. If there
    /// is no room for one (descriptors, memory), it waits in the kernel's queue, and the next try is a tenth of
    /// a second later. Of both [`on_accept_error`](Self::on_accept_error) hears.
    ///
    /// # Panics
    ///
    /// If there is no room, and the runtime was built without timers.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, no connection is lost.
    pub async fn accept_retrying(&self) -> (MonitoredStream<TcpStream>, SocketAddr) {
        let mut retry = AcceptRetry::default();
        poll_fn(|cx| self.poll_accept_retrying(&mut retry, cx)).await
    }

    /// Polls for the next connection. The waker of the last call is the one that is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(MonitoredStream<TcpStream>, SocketAddr)>> {
        let (io, address) = ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(self.wrap(io).map(|stream| (stream, address)))
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The wrapped listener.
    pub fn get_ref(&self) -> &TcpListener {
        &self.listener
    }

    /// Takes the wrapped listener out.
    pub fn into_inner(self) -> TcpListener {
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
