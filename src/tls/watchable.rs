//! The descriptor under a TLS stream. tokio-rustls implements `AsRawFd` for its streams, and not `AsFd`.

use crate::watcher::Watchable;
use rustix::fd::BorrowedFd;
use std::marker::PhantomData;
use tokio_rustls::{TlsStream, client, server};

/// Marks how the descriptor of a TLS stream is found: see [`Watchable`].
///
/// `By` is the marker of the stream below.
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
