//! Connections on loopback, one after the other.

use crate::support::soon;
use hangup::{MonitorConfig, MonitoredStream};
use socket2::SockRef;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// A listener, whose port each test has to itself.
pub(crate) struct Loopback {
    listener: TcpListener,
    address: SocketAddr,
}

impl Loopback {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// Our socket and the peer's.
    pub(crate) async fn pair(&self) -> (TcpStream, TcpStream) {
        let (peer, ours) = soon("a connection", async {
            tokio::join!(TcpStream::connect(self.address), self.listener.accept())
        })
        .await;
        (ours.unwrap().0, peer.unwrap())
    }

    /// Our stream, watched, and the peer's socket.
    pub(crate) async fn watched(
        &self,
        config: &MonitorConfig,
    ) -> (MonitoredStream<TcpStream>, TcpStream) {
        let (ours, peer) = self.pair().await;
        (MonitoredStream::with_config(ours, config).unwrap(), peer)
    }

    /// As `watched`, with the defaults.
    pub(crate) async fn open(&self) -> (MonitoredStream<TcpStream>, TcpStream) {
        self.watched(&MonitorConfig::new()).await
    }
}

/// Leaves by a reset.
pub(crate) fn reset(peer: TcpStream) {
    SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}
