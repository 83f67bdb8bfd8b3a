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
///
/// ```
/// # #[cfg(feature = "ring")] {
/// use hangup::tls::TlsListener;
/// use hangup::{CloseReason, MonitoredListener};
/// use tokio::io::AsyncWriteExt;
///
/// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
/// # let runtime = tokio::runtime::Runtime::new().unwrap();
/// # runtime.block_on(async {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
/// let mut listener = TlsListener::new(listener, acceptor)
///     .on_failed_handshake(move |handshake| drop(failed.send(handshake)));
/// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// client.write_all(b"GET / HTTP/1.1\r\n\r\n").await?; // the wrong port
/// tokio::select! {
///     _ = listener.accept() => unreachable!("it is no ClientHello"),
///     failure = failures.recv() => {
///         let failure = failure.unwrap();
///         println!("{}: {}", failure.peer, failure.error);
///         assert_eq!(failure.reason, CloseReason::Tls);
///     }
/// }
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// # }
/// ```
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
