//! Implements axum's `Listener` for [`MonitoredListener`].

use crate::stream::{MonitoredListener, MonitoredStream};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;

impl ::axum::serve::Listener for MonitoredListener {
    type Io = MonitoredStream<TcpStream>;
    type Addr = SocketAddr;

    /// As [`accept_retrying`](MonitoredListener::accept_retrying), so an error does not end the server.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        self.accept_retrying().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}
