//! The addresses of the connection below a TLS stream.

use crate::stream::Addressed;
use std::io;
use tokio_rustls::{TlsStream, client, server};

macro_rules! addressed {
    ($($stream:ident)::+) => {
        impl<S: Addressed> Addressed for $($stream)::+<S> {
            type Addr = S::Addr;

            fn local_addr(&self) -> io::Result<S::Addr> {
                self.get_ref().0.local_addr()
            }

            fn peer_addr(&self) -> io::Result<S::Addr> {
                self.get_ref().0.peer_addr()
            }
        }
    };
}

addressed!(server::TlsStream);
addressed!(client::TlsStream);
addressed!(TlsStream);
