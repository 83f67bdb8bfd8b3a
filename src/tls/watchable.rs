//! The descriptor under a TLS stream. tokio-rustls implements `AsRawFd` for its streams, and not `AsFd`.

use crate::watcher::Watchable;
use rustix::fd::BorrowedFd;
use std::marker::PhantomData;
use tokio_rustls::{TlsStream, client, server};

/// Marks how the descriptor of a TLS stream is found: see [`Watchable`].
///
/// `By` is the marker of the stream below.
///
/// ```
/// use hangup::tls::{ByTls, tokio_rustls::server::TlsStream};
/// use hangup::{ByDescriptor, MonitoredStream, Watchable};
/// use std::io;
///
/// /// Monitors a TLS stream whose handshake another part of the program has made.
/// fn monitored<S>(stream: TlsStream<S>) -> io::Result<MonitoredStream<TlsStream<S>>>
/// where
///     TlsStream<S>: Watchable<ByTls<ByDescriptor>>,
/// {
///     MonitoredStream::new(stream)
/// }
/// # let _ = monitored::<tokio::net::TcpStream>;
/// ```
#[derive(Debug)]
pub struct ByTls<By>(PhantomData<By>);

impl<S: Watchable<By>, By> Watchable<ByTls<By>> for server::TlsStream<S> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.get_ref().0.descriptor()
    }
}

impl<S: Watchable<By>, By> Watchable<ByTls<By>> for client::TlsStream<S> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.get_ref().0.descriptor()
    }
}

impl<S: Watchable<By>, By> Watchable<ByTls<By>> for TlsStream<S> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.get_ref().0.descriptor()
    }
}
