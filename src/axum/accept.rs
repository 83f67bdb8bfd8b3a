//! The trait of listeners whose connections are monitored.

use crate::monitor::Monitor;
use crate::stream::MonitoredListener;
use ::axum::serve::Listener;

/// An axum listener whose connections are monitored.
///
/// `into_make_service_with_connect_info::<Monitor>()` and [`into_make_service`](super::into_make_service) require it.
/// [`MonitoredListener`], `TlsListener` and [`Monitored`](super::Monitored), which wraps any other listener, implement it.
/// A custom listener implements it in a few lines:
///
/// ```
/// use axum::serve::Listener;
/// use hangup::axum::MonitoredAccept;
/// use hangup::{Monitor, MonitoredListener, MonitoredStream};
/// use std::net::SocketAddr;
/// use tokio::net::TcpStream;
///
/// struct Logged(MonitoredListener);
///
/// impl Listener for Logged {
///     type Io = MonitoredStream<TcpStream>;
///     type Addr = SocketAddr;
///
///     async fn accept(&mut self) -> (Self::Io, SocketAddr) {
///         let (stream, address) = self.0.accept_retrying().await;
///         println!("{address} has connected");
///         (stream, address)
///     }
///
///     fn local_addr(&self) -> std::io::Result<SocketAddr> {
///         self.0.local_addr()
///     }
/// }
///
/// impl MonitoredAccept for Logged {
///     fn monitor(stream: &Self::Io) -> Monitor {
///         stream.monitor()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the connections of `{Self}` are not monitored",
    label = "the connections of this listener have no monitor",
    note = "serve a `hangup::MonitoredListener`, or wrap the listener: `hangup::axum::Monitored::new(listener)`",
    note = "for a custom listener, implement `hangup::axum::MonitoredAccept`"
)]
pub trait MonitoredAccept: Listener {
    /// The monitor of a connection.
    fn monitor(io: &Self::Io) -> Monitor;
}

impl MonitoredAccept for MonitoredListener {
    fn monitor(io: &Self::Io) -> Monitor {
        io.monitor()
    }
}
