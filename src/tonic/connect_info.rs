//! The connect info that tonic puts into the extensions of a request.

use crate::monitor::Monitor;
use crate::stream::MonitoredStream;
use ::tonic::transport::server::{Connected, TcpConnectInfo};

/// The monitor of the connection, and tonic's own information about the wrapped stream.
///
/// It is in the extensions of each request on a [`MonitoredStream`]. `I` is tonic's own type; for TCP it has the
/// addresses. `Request::remote_addr` looks only for that type, so it returns `None` unless the server has the
/// [`ConnectionLayer`](super::ConnectionLayer). Behind tonic's own TLS, the extensions have
/// `TlsConnectInfo<ConnectInfo>` beside it.
///
/// ```
/// use hangup::MonitoredListener;
/// use tonic::transport::server::Connected;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let (stream, _) = listener.accept().await?;
/// let info = stream.connect_info(); // tonic puts it into the extensions
/// assert_eq!(info.inner().remote_addr(), Some(client.local_addr()?));
/// assert!(!info.monitor().is_closed());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ConnectInfo<I = TcpConnectInfo> {
    monitor: Monitor,
    inner: I,
}

impl<I> ConnectInfo<I> {
    /// The monitor of the connection.
    ///
    /// ```
    /// use hangup::tonic::ConnectInfo;
    /// use hangup::{CloseReason, MonitoredListener};
    /// use tonic::transport::server::Connected;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// let info: ConnectInfo = stream.connect_info();
    /// drop(client);
    /// assert_eq!(info.monitor().closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// tonic's own information about the wrapped stream.
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::MonitoredStream;
    /// use tokio::net::UnixStream;
    /// use tonic::transport::server::Connected;
    ///
    /// let (server, client) = UnixStream::pair()?;
    /// let info = MonitoredStream::new(server)?.connect_info();
    /// let credentials = info.inner().peer_cred.expect("a Unix socket has them");
    /// assert_eq!(credentials.uid(), client.peer_cred()?.uid());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(unix))]
    /// # fn main() {}
    /// ```
    pub fn inner(&self) -> &I {
        &self.inner
    }
}

impl<S: Connected> Connected for MonitoredStream<S> {
    type ConnectInfo = ConnectInfo<S::ConnectInfo>;

    fn connect_info(&self) -> Self::ConnectInfo {
        ConnectInfo {
            monitor: self.monitor(),
            inner: self.get_ref().connect_info(),
        }
    }
}
