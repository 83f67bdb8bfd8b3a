//! A handshake that failed.

use crate::errors::CloseReason;
use crate::monitor::Monitor;
use std::io;
use std::net::SocketAddr;

/// A handshake that failed: the argument of the callback of
/// [`on_failed_handshake`](super::TlsListener::on_failed_handshake).
///
/// | `reason` | usual cause |
/// |---|---|
/// | [`PeerClosed`](CloseReason::PeerClosed), [`Reset`](CloseReason::Reset) | a port scanner, a health check, a client that gave up |
/// | [`Tls`](CloseReason::Tls) | a client without a common version or cipher, or plain HTTP on this port |
/// | [`TlsAlert`](CloseReason::TlsAlert) | the client refused our certificate |
/// | [`TimedOut`](CloseReason::TimedOut) | longer than [`handshake_timeout`](super::TlsListener::handshake_timeout) |
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedHandshake {
    /// The address of the client.
    pub peer: SocketAddr,
    /// What went wrong.
    pub error: io::Error,
    /// Why the connection closed.
    pub reason: CloseReason,
}

impl FailedHandshake {
    pub(crate) fn new(peer: SocketAddr, error: io::Error, monitor: &Monitor) -> Self {
        let reason = monitor.close_reason();
        Self {
            peer,
            reason: reason.unwrap_or_else(|| CloseReason::from(&error)),
            error,
        }
    }
}
