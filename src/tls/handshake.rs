//! One handshake: its settings, its time limit and its outcome.

use super::ServerStream;
use super::failed_handshake::FailedHandshake;
use crate::monitor::Monitor;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

/// The callback for failed handshakes.
pub(crate) type OnFailedHandshake = Box<dyn FnMut(FailedHandshake) + Send + Sync>;

/// The settings of a [`TlsListener`](super::TlsListener), for a server that runs the handshakes itself.
#[cfg(feature = "serve")]
pub(crate) struct HandshakeSettings {
    pub(crate) timeout: Duration,
    pub(crate) max: usize,
    pub(crate) failed: Option<OnFailedHandshake>,
}

/// Runs `handshake`, and fails with `TimedOut` if it takes longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    handshake: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let late = |_| {
        Err(io::Error::new(
            ErrorKind::TimedOut,
            format!("hangup: no TLS handshake within {limit:?}"),
        ))
    };
    let limited = tokio::time::timeout(limit, handshake).await;
    limited.unwrap_or_else(late)
}

/// A handshake that has ended.
pub(super) struct Handshake {
    pub(super) peer: SocketAddr,
    pub(super) monitor: Monitor,
    pub(super) stream: io::Result<ServerStream>,
}
