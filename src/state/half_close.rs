//! What a FIN means.

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
    /// The default, as in nginx, Go's net/http and hyper: a client that streams to nobody is far more
    /// common than one that half-closes and then reads on.
    #[default]
    Close,
    /// A FIN gives [`Status::PeerFinished`](crate::Status::PeerFinished) and writes go on; only a
    /// reset, an error or the end of our own sending closes the stream.
    ///
    /// For protocols whose client sends all, half-closes and waits for the answer. A client that is
    /// gone is then heard of only by the reset that answers the next write.
    Allow,
}
