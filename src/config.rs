//! How a stream is watched.

use crate::StallPolicy;

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
    Closes,
    /// A FIN gives [`Status::PeerFinished`](crate::Status::PeerFinished) and writes go on; only a
    /// reset, an error or the end of our own sending closes the stream.
    ///
    /// For protocols whose client sends all, half-closes and waits for the answer. A client that is
    /// gone is then heard of only by the reset that answers the next write.
    Allowed,
}

/// How a stream is watched.
///
/// # Default
///
/// * half-close: [`HalfClose::Closes`]
/// * stall policy: none
/// * reset on abort: no
///
/// ```
/// use hangup::{HalfClose, MonitorConfig};
///
/// let config = MonitorConfig::new().half_close(HalfClose::Allowed);
/// assert_ne!(config, MonitorConfig::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MonitorConfig {
    half_close: HalfClose,
    stall: Option<StallPolicy>,
    reset_on_abort: bool,
}

impl MonitorConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a FIN means while we are still sending. Default: [`HalfClose::Closes`].
    ///
    /// With [`HalfClose::Allowed`] a client that closed, rather than half-closed, is found out one
    /// write later: choose it only for a protocol that needs it.
    #[must_use]
    pub fn half_close(mut self, half_close: HalfClose) -> Self {
        self.half_close = half_close;
        self
    }

    pub(crate) fn policy(&self) -> HalfClose {
        self.half_close
    }

    /// How much the peer must drain while there is something to send. Default: no policy, and a peer that
    /// reads nothing blocks a writer for ever.
    ///
    /// A peer that falls below it closes the stream with
    /// [`CloseReason::Stalled`](crate::CloseReason::Stalled): a pending call of the stream is woken and
    /// fails with it. What a policy measures, and how to choose one: [`StallPolicy`].
    #[must_use]
    pub fn stall(mut self, policy: StallPolicy) -> Self {
        self.stall = Some(policy);
        self
    }

    /// Whether a peer that has stalled is reset, as by [`Monitor::abort`](crate::Monitor::abort).
    /// Default: no.
    ///
    /// Without a reset the kernel keeps what it has accepted, up to some megabytes a connection, and
    /// goes on offering it to the peer after the stream is dropped, for minutes. With one that memory is
    /// free at once; what the peer has sent and we have not read is lost with it.
    #[must_use]
    pub fn reset_on_abort(mut self, reset: bool) -> Self {
        self.reset_on_abort = reset;
        self
    }

    pub(crate) fn stall_policy(&self) -> Option<(StallPolicy, bool)> {
        Some((self.stall?, self.reset_on_abort))
    }
}
