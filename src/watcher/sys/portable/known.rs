//! Systems other than Linux: every question goes to the system.

use rustix::fd::BorrowedFd;

/// What is known about a descriptor before the system is asked: nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known;

impl Known {
    /// What the type `S` of a stream proves.
    pub(crate) fn of<S>() -> Self {
        Self
    }

    /// What is known about each `TcpStream` that the listener accepts, and how many of them are waiting.
    pub(crate) fn accepted(_: BorrowedFd<'_>) -> (Self, Option<u64>) {
        (Self, None)
    }

    /// A descriptor whose options are set, which is not found out here.
    pub(crate) fn configured(self) -> Self {
        self
    }

    /// Whether the stream is the socket itself, which matters where the system tells our own end of reading from a FIN.
    pub(crate) fn is_socket(self) -> bool {
        false
    }

    pub(crate) fn is_configured(self) -> bool {
        false
    }
}
