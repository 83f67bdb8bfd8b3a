//! The descriptor under a TLS stream, whose types implement `AsRawFd` alone.

use crate::watcher::Watchable;
use rustix::fd::BorrowedFd;
use std::marker::PhantomData;
use tokio_rustls::{TlsStream, client, server};

/// The way to the descriptor of a TLS stream: see [`Watchable`].
///
/// `By` is the way to that of the stream below.
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
