//! The connect info of a monitored connection.

use super::accept::MonitoredAccept;
use crate::monitor::Monitor;
use crate::stream::{MonitoredListener, MonitoredStream};
use ::axum::extract::connect_info::Connected;
use ::axum::serve::{IncomingStream, TapIo};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// The monitor of a connection, and the client's address.
///
/// Use it with `into_make_service_with_connect_info::<Peer>()`. It is an extractor, as [`Monitor`] is. Over a Unix socket
/// `A` is `tokio::net::unix::SocketAddr`.
///
/// ```
/// use axum::{Router, routing::get};
/// use hangup::MonitoredListener;
/// use hangup::axum::Peer;
///
/// async fn whoami(Peer { address, monitor, .. }: Peer) -> String {
///     format!("{address}, {} bytes read\n", monitor.transfer().read)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// # let local = listener.local_addr()?;
/// let router = Router::new().route("/", get(whoami));
/// let service = router.into_make_service_with_connect_info::<Peer>();
/// tokio::spawn(axum::serve(listener, service).into_future());
/// # let mut client = tokio::net::TcpStream::connect(local).await?;
/// # client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
/// # let mut response = String::new();
/// # client.read_to_string(&mut response).await?;
/// assert!(response.ends_with(&format!("{}, 18 bytes read\n", client.local_addr()?)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Peer<A = SocketAddr> {
    /// The monitor of the connection.
    pub monitor: Monitor,
    /// The client's address.
    pub address: A,
}

impl<A> Peer<A> {
    /// Creates a peer, for axum's `MockConnectInfo` in the test of a handler.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::extract::connect_info::MockConnectInfo;
    /// use hangup::MonitoredStream;
    /// use hangup::axum::Peer;
    ///
    /// let stream = MonitoredStream::unwatched(tokio::io::empty());
    /// let address = std::net::SocketAddr::from(([192, 0, 2, 1], 50_000));
    /// let peer = Peer::new(stream.monitor(), address);
    /// assert_eq!(peer.address.port(), 50_000);
    /// let router: Router = Router::new().layer(MockConnectInfo(peer));
    /// # drop(router);
    /// ```
    pub fn new(monitor: Monitor, address: A) -> Self {
        Self { monitor, address }
    }
}

impl<L: MonitoredAccept> Connected<IncomingStream<'_, L>> for Monitor {
    fn connect_info(stream: IncomingStream<'_, L>) -> Self {
        L::monitor(stream.io())
    }
}

impl<L> Connected<IncomingStream<'_, L>> for Peer<L::Addr>
where
    L: MonitoredAccept,
    L::Addr: Clone + Send + Sync + 'static,
{
    fn connect_info(stream: IncomingStream<'_, L>) -> Self {
        Self {
            monitor: L::monitor(stream.io()),
            address: stream.remote_addr().clone(),
        }
    }
}

// axum itself implements `ConnectInfo` for every other tapped listener, as its address. Tap such a listener first, and
// wrap the result in `Monitored`.
impl<F> Connected<IncomingStream<'_, TapIo<MonitoredListener, F>>> for Monitor
where
    F: FnMut(&mut MonitoredStream<TcpStream>) + Send + 'static,
{
    fn connect_info(stream: IncomingStream<'_, TapIo<MonitoredListener, F>>) -> Self {
        stream.io().monitor()
    }
}

impl<F> Connected<IncomingStream<'_, TapIo<MonitoredListener, F>>> for Peer
where
    F: FnMut(&mut MonitoredStream<TcpStream>) + Send + 'static,
{
    fn connect_info(stream: IncomingStream<'_, TapIo<MonitoredListener, F>>) -> Self {
        Self {
            monitor: stream.io().monitor(),
            address: *stream.remote_addr(),
        }
    }
}
