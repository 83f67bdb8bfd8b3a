//! The events of a stream, whatever detected them.

use crate::errors::CloseReason;

/// Something that happened to a stream.
///
/// The first eight come from the peer or the network: a poll returned them, the watcher detected them, or the clock of
/// the stall policy did. The last four are caused by our own side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The peer will send no more: a FIN that the OS reported.
    Fin,
    /// A read of the stream returned EOF. It means the same as [`Fin`](Self::Fin), and also that the reader has
    /// seen it.
    EndOfInput,
    /// Both directions have ended without an error: a Unix peer closed, or a write failed with EPIPE.
    HungUp,
    /// Both directions were shut down. Ours may have been shut down on the socket itself, bypassing the wrapper.
    #[cfg_attr(
        any(not(any(target_os = "linux", target_os = "android")), hangup_fallback),
        allow(dead_code, reason = "only Linux tells")
    )]
    BothFinished,
    /// The connection has ended, and the system no longer reports why: the shutdown was orderly, or the error was already
    /// read.
    Vanished,
    /// The connection was reset. `after_fin`: the peer's FIN had come before.
    Reset { after_fin: bool },
    /// A write has read ahead, and found that the input ends without the end that its protocol has. The reader does not know
    /// of it yet.
    Truncated,
    /// A fatal error.
    Failed(CloseReason),
    /// The peer does not read what we send.
    Stalled,
    /// Our own shutdown of the sending direction has completed.
    ShutDown,
    /// We reset the connection.
    Aborted,
    /// The stream was dropped, or taken out of its wrapper.
    Dropped,
    /// The runtime that watched the stream has shut down.
    RuntimeShutdown,
}

impl Event {
    /// Whether the close also ends pending reads. We raise such an event ourselves, so the OS will not wake a
    /// blocked reader for it. After every other event reads continue, and the OS wakes the reader.
    pub(crate) fn ends_reads(&self) -> bool {
        match self {
            Self::Stalled | Self::Aborted => true,
            Self::Fin
            | Self::EndOfInput
            | Self::HungUp
            | Self::BothFinished
            | Self::Vanished
            | Self::Reset { .. }
            | Self::Truncated
            | Self::Failed(_)
            | Self::ShutDown
            | Self::Dropped
            | Self::RuntimeShutdown => false,
        }
    }
}

/// What detected an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DetectedBy {
    Watcher,
    /// A call of `probe`.
    Probe,
    Read,
    /// A write, a flush or a shutdown.
    Write,
    StallPolicy,
    /// The signal of a stream without a descriptor.
    Signal,
    /// The bound of [`HalfClose::AllowFor`](crate::HalfClose::AllowFor).
    HalfClose,
    /// Our own side caused it.
    Us,
}

impl DetectedBy {
    /// The name in events of tracing and labels of metrics. It does not change between versions.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Watcher => "watcher",
            Self::Probe => "probe",
            Self::Read => "read",
            Self::Write => "write",
            Self::StallPolicy => "stall_policy",
            Self::Signal => "signal",
            Self::HalfClose => "half_close",
            Self::Us => "us",
        }
    }
}
