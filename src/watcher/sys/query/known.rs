//! What a stream's type proves about its descriptor, so that the kernel need not be asked.

use std::any::TypeId;
use tokio::net::{TcpStream, UnixStream};

/// What is known about a descriptor before the kernel is asked. The default is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    is_exclusive: bool,
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
        Self { is_exclusive }
    }

    /// Whether only the drop of the stream closes the descriptor, as long as no code has got `&mut` of the wrapped stream.
    pub(super) fn is_exclusive(self) -> bool {
        self.is_exclusive
    }
}
