//! Implements axum's `Listener` for [`TlsListener`].

use super::accept::MonitoredAccept;
use super::peer::Peer;
use crate::monitor::Monitor;
use crate::tls::{ServerStream, TlsListener};
use ::axum::extract::connect_info::Connected;
use ::axum::serve::{IncomingStream, Listener, TapIo};
use std::io;
use std::net::SocketAddr;

impl Listener for TlsListener {
    type Io = ServerStream;
    type Addr = SocketAddr;

    /// As [`accept_retrying`](TlsListener::accept_retrying), so an error does not end the server.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        self.accept_retrying().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

impl MonitoredAccept for TlsListener {
    fn monitor(io: &Self::Io) -> Monitor {
        io.monitor()
    }
}

impl<F> Connected<IncomingStream<'_, TapIo<TlsListener, F>>> for Monitor
where
    F: FnMut(&mut ServerStream) + Send + 'static,
{
    fn connect_info(stream: IncomingStream<'_, TapIo<TlsListener, F>>) -> Self {
        stream.io().monitor()
    }
}

impl<F> Connected<IncomingStream<'_, TapIo<TlsListener, F>>> for Peer
where
    F: FnMut(&mut ServerStream) + Send + 'static,
{
    fn connect_info(stream: IncomingStream<'_, TapIo<TlsListener, F>>) -> Self {
        Self {
            monitor: stream.io().monitor(),
            address: *stream.remote_addr(),
        }
    }
}
