//! What axum's `ConnectInfo` carries.

use super::accept::MonitoredAccept;
use crate::monitor::Monitor;
use crate::stream::{MonitoredListener, MonitoredStream};
use ::axum::extract::connect_info::Connected;
use ::axum::serve::{IncomingStream, TapIo};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A connection's monitor, and the client's address.
///
/// For `into_make_service_with_connect_info::<Peer>()`. It is an extractor, as [`Monitor`] is. Over a Unix socket `A` is
/// `tokio::net::unix::SocketAddr`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Peer<A = SocketAddr> {
    /// The connection's monitor.
    pub monitor: Monitor,
    /// The client's address.
    pub address: A,
}

impl<A> Peer<A> {
    /// A peer, for axum's `MockConnectInfo` in the test of a handler.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::extract::connect_info::MockConnectInfo;
    /// use hangup::MonitoredStream;
    /// use hangup::axum::Peer;
    ///
    /// let stream = MonitoredStream::unwatched(tokio::io::empty());
    /// let peer = Peer::new(stream.monitor(), ([192, 0, 2, 1], 50_000).into());
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

// Of any other tapped listener axum itself says what its `ConnectInfo` is: the address. Tap below, and wrap the result.
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
