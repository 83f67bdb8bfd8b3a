//! TLS connections: the handshake is the connection's own task, under the server's limits.

use super::handshakes::{Handshakes, Place};
use super::listener::{Protocol, Setup, sealed};
use crate::monitor::Monitor;
use crate::stream::{MonitoredListener, MonitoredStream};
use crate::tls::{ServerStream, TlsListener};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A [`TlsListener`] whose handshakes are made elsewhere.
#[expect(unnameable_types, reason = "a type of the sealed trait")]
pub struct TlsAccept {
    listener: MonitoredListener,
    acceptor: TlsAcceptor,
    handshakes: Arc<Handshakes>,
}

/// A connection whose handshake is still to be made.
#[expect(unnameable_types, reason = "a type of the sealed trait")]
pub struct TlsAccepted {
    stream: MonitoredStream<TcpStream>,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
    place: Place,
}

impl sealed::IntoAccept for TlsListener {
    type Accept = TlsAccept;

    fn into_accept(self, setup: Setup) -> TlsAccept {
        let (listener, acceptor, settings) = self.into_parts();
        TlsAccept {
            listener: listener.or(&setup.monitor, setup.nodelay),
            acceptor: with_alpn(acceptor, setup.alpn),
            handshakes: Arc::new(Handshakes::new(settings)),
        }
    }
}

/// Offers `protocols`, if the program offers none of its own, and HTTP/2 only if it is among them: otherwise a client that agrees
/// to it would get HTTP/1.1.
fn with_alpn(acceptor: TlsAcceptor, protocols: Vec<Vec<u8>>) -> TlsAcceptor {
    let is_spoken = |name: &Vec<u8>| name != b"h2" || protocols.contains(name);
    let own = &acceptor.config().alpn_protocols;
    if !own.is_empty() && own.iter().all(is_spoken) {
        return acceptor;
    }
    let mut config = (**acceptor.config()).clone();
    config.alpn_protocols.retain(is_spoken);
    if config.alpn_protocols.is_empty() {
        config.alpn_protocols = protocols;
    }
    Arc::new(config).into()
}

impl sealed::Accept for TlsAccept {
    type Accepted = TlsAccepted;
    type Stream = ServerStream;

    fn check(&self) -> io::Result<()> {
        sealed::Accept::check(&self.listener)
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Accepted, Option<SocketAddr>)>> {
        let (stream, peer) = ready!(self.listener.poll_accept(cx))?;
        let accepted = TlsAccepted {
            place: self.handshakes.begin(stream.monitor()),
            stream,
            peer,
            acceptor: self.acceptor.clone(),
        };
        Poll::Ready(Ok((accepted, Some(peer))))
    }

    fn accept_failed(&self, error: &io::Error) {
        self.listener.report_accept_error(error);
    }

    fn monitor(accepted: &Self::Accepted) -> Monitor {
        accepted.stream.monitor()
    }

    async fn handshake(accepted: Self::Accepted) -> io::Result<(ServerStream, Protocol)> {
        let TlsAccepted {
            stream,
            peer,
            acceptor,
            place,
        } = accepted;
        let monitor = stream.monitor();
        let handshake = crate::tls::within(place.timeout(), crate::tls::accept(&acceptor, stream));
        let failed = |error| place.failed(peer, error, &monitor);
        let stream = handshake.await.map_err(failed)?;
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

impl fmt::Debug for TlsAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAccepted")
            .field("peer", &self.peer)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
