//! TLS connections: the handshake is the connection's own task, under the server's limits.

use super::listener::{Protocol, Setup, sealed};
use crate::monitor::Monitor;
use crate::stream::{MonitoredListener, MonitoredStream};
use crate::tls::{ServerStream, TlsListener};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A [`TlsListener`] whose handshakes are made elsewhere.
#[expect(unnameable_types, reason = "a type of the sealed trait")]
pub struct TlsAccept {
    listener: MonitoredListener,
    acceptor: TlsAcceptor,
    timeout: Duration,
}

impl sealed::IntoAccept for TlsListener {
    type Accept = TlsAccept;

    fn into_accept(self, setup: Setup) -> TlsAccept {
        let (listener, acceptor, timeout) = self.into_parts();
        TlsAccept {
            listener: listener.or(&setup.monitor, setup.nodelay),
            acceptor: with_alpn(acceptor, setup.alpn),
            timeout,
        }
    }
}

/// Offers `protocols`, if the program offers none of its own.
fn with_alpn(acceptor: TlsAcceptor, protocols: Vec<Vec<u8>>) -> TlsAcceptor {
    if !acceptor.config().alpn_protocols.is_empty() {
        return acceptor;
    }
    let mut config = (**acceptor.config()).clone();
    config.alpn_protocols = protocols;
    Arc::new(config).into()
}

impl sealed::Accept for TlsAccept {
    type Accepted = (MonitoredStream<TcpStream>, TlsAcceptor, Duration);
    type Stream = ServerStream;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Accepted, Option<SocketAddr>)>> {
        let (stream, address) = ready!(self.listener.poll_accept(cx))?;
        let accepted = (stream, self.acceptor.clone(), self.timeout);
        Poll::Ready(Ok((accepted, Some(address))))
    }

    fn accept_failed(&self, error: &io::Error) {
        self.listener.report_accept_error(error);
    }

    fn monitor((stream, ..): &Self::Accepted) -> Monitor {
        stream.monitor()
    }

    async fn handshake(
        (stream, acceptor, timeout): Self::Accepted,
    ) -> io::Result<(ServerStream, Protocol)> {
        let handshake = crate::tls::accept(&acceptor, stream);
        let Ok(stream) = tokio::time::timeout(timeout, handshake).await else {
            return Err(io::Error::new(
                ErrorKind::TimedOut,
                format!("hangup: no TLS handshake within {timeout:?}"),
            ));
        };
        let stream = stream?;
        let protocol = match stream.get_ref().get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((stream, protocol))
    }
}

impl fmt::Debug for TlsAccept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAccept")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}
