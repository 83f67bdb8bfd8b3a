//! What a stream's type and its listener prove about its descriptor, so that the kernel need not be asked.

use super::descriptor::Descriptor;
use super::kind::Kind;
use super::tcp;
use rustix::fd::{AsRawFd, BorrowedFd};
use std::any::TypeId;
use tokio::net::{TcpStream, UnixStream};

/// What is known about a descriptor before the kernel is asked. The default is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    is_exclusive: bool,
    kind: Option<Kind>,
    is_configured: bool,
}

impl Known {
    /// What the type `S` of a stream proves.
    ///
    /// A socket of tokio's keeps its descriptor until it is dropped, and no call closes it or exchanges its file. Every
    /// other type may do so in any call.
    pub(crate) fn of<S>() -> Self {
        let stream = typeid::of::<S>();
        let is_exclusive =
            stream == TypeId::of::<TcpStream>() || stream == TypeId::of::<UnixStream>();
        Self {
            is_exclusive,
            ..Self::default()
        }
    }

    /// What is known about each `TcpStream` that `listener` accepts, and how many of them are waiting.
    ///
    /// A connection has the protocol of its listener, and a listener of MPTCP is told apart by it. The peer has opened the
    /// connection and nothing was sent, so no acknowledged number is a control byte. A system that tells the state of the
    /// listener tells that of the connections, with the same structure.
    pub(crate) fn accepted(listener: BorrowedFd<'_>) -> (Self, Option<u64>) {
        let listener = Descriptor {
            raw: listener.as_raw_fd(),
            inode: None,
        };
        let is_tcp = listener.int(libc::SO_PROTOCOL) == Some(libc::IPPROTO_TCP);
        let waiting = is_tcp.then(|| tcp::waiting(listener)).flatten();
        let kind = waiting.map(|_| Kind::Tcp {
            control_bytes: Some(0),
        });
        let known = Self {
            is_exclusive: true,
            kind,
            is_configured: false,
        };
        (known, waiting)
    }

    /// As this, of a descriptor that has the options of its configuration.
    pub(crate) fn configured(self) -> Self {
        Self {
            is_configured: true,
            ..self
        }
    }

    pub(crate) fn is_configured(self) -> bool {
        self.is_configured
    }

    /// Whether the stream is the socket itself, so that its EOF is that of the socket.
    pub(crate) fn is_socket(self) -> bool {
        self.is_exclusive
    }

    /// Whether only the drop of the stream closes the descriptor, as long as no code has got `&mut` of the wrapped stream.
    pub(super) fn is_exclusive(self) -> bool {
        self.is_exclusive
    }

    pub(super) fn kind(self) -> Option<Kind> {
        self.kind
    }
}
