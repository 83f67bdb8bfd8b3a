//! What a FIN means.

use std::time::Duration;

/// What a FIN means while we are still sending.
///
/// A FIN says that the peer will send no more. Whether it still reads cannot be seen: half-close
/// (`shutdown(SHUT_WR)`) and close look the same on the wire until something that we send is
/// answered by a reset (RFC 9293, section 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HalfClose {
    /// A FIN means that the peer is gone: [`CloseReason::PeerClosed`](crate::CloseReason::PeerClosed).
    ///
    /// The default, as in Go's net/http and hyper. A client that half-closes and then reads the answer is
    /// rare, and a server that goes on sending to a client that is gone is common.
    #[default]
    Close,
    /// A FIN gives [`Status::PeerFinished`](crate::Status::PeerFinished) and writes go on. Only a
    /// reset, an error or the end of our own sending closes the stream.
    ///
    /// For protocols whose client sends all, half-closes and waits for the answer. A client that is
    /// gone is detected only by the reset that answers the next write: where nothing is written, never.
    Allow,
    /// As [`Allow`](Self::Allow), for as long as bytes move towards the peer: the stream closes with
    /// [`CloseReason::PeerClosed`](crate::CloseReason::PeerClosed) after a period of this length in which it
    /// accepted none from us and the peer took none from the kernel.
    ///
    /// For relays and servers that cannot wait forever for a client that is gone: choose the longest time
    /// that an answer may take. The end comes after one to two periods. The timer is a task that is made
    /// when the FIN arrives; before that the option costs nothing. A period of zero is
    /// [`Close`](Self::Close).
    AllowFor(Duration),
}

impl HalfClose {
    /// Whether a FIN closes the stream.
    pub(crate) fn closes(self) -> bool {
        matches!(self, Self::Close | Self::AllowFor(Duration::ZERO))
    }
}
