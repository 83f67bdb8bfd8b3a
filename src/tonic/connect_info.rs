//! What tonic puts into the extensions of a request.

use crate::monitor::Monitor;
use crate::stream::MonitoredStream;
use ::tonic::transport::server::{Connected, TcpConnectInfo};

/// A connection's monitor, and what tonic tells of the wrapped stream: in the extensions of each request that
/// came by a [`MonitoredStream`].
///
/// `I` is what tonic tells of the stream: its addresses, for TCP. (`Request::remote_addr` looks for that
/// alone, and finds nothing here: ask [`inner`](Self::inner).) Behind tonic's own TLS it is
/// `TlsConnectInfo<ConnectInfo>` that is in the extensions.
#[derive(Debug, Clone)]
pub struct ConnectInfo<I = TcpConnectInfo> {
    monitor: Monitor,
    inner: I,
}

impl<I> ConnectInfo<I> {
    /// The connection's monitor.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// What tonic tells of the wrapped stream.
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
