//! The events of a stream, whatever detected them.

use crate::errors::CloseReason;

/// One thing that happened to a stream.
///
/// The first eight come from the peer or the network, by way of a poll's result, of the watcher or of the
/// stall policy's clock; the last four are our own doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The peer will send no more: a FIN that the OS reported.
    Fin,
    /// A read of the stream returned the end of the input. It says what [`Fin`](Self::Fin) says, and that
    /// the reader knows.
    EndOfInput,
    /// Both directions are over and no error says why: a Unix peer's close, or a write that found a
    /// broken pipe.
    HungUp,
    /// Both directions were shut down, ours perhaps past the wrapper, on the socket itself.
    #[cfg_attr(
        any(not(any(target_os = "linux", target_os = "android")), hangup_fallback),
        allow(dead_code, reason = "only Linux tells")
    )]
    BothFinished,
    /// The connection is over, and the system no longer says why: it was an orderly shutdown, or the error was read already.
    Vanished,
    /// The connection was reset. `after_fin`: the peer's FIN had come before.
    Reset { after_fin: bool },
    /// A fatal error.
    Failed(CloseReason),
    /// The peer does not drain what we send.
    Stalled,
    /// Our own shutdown of the sending direction is done.
    ShutDown,
    /// We reset the connection.
    Aborted,
    /// The stream was dropped, or taken out of its wrapper.
    Dropped,
    /// The runtime that watched the stream is gone.
    RuntimeShutdown,
}

impl Event {
    /// Whether the close ends pending reads too. Such an event is raised by us, so the OS will not wake a
    /// blocked reader for it. After every other event reads go on, and the OS wakes the reader.
    pub(crate) fn ends_reads(&self) -> bool {
        match self {
            Self::Stalled | Self::Aborted => true,
            Self::Fin
            | Self::EndOfInput
            | Self::HungUp
            | Self::BothFinished
            | Self::Vanished
            | Self::Reset { .. }
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
    /// A question of the program: `probe`.
    Probe,
    Read,
    /// A write, a flush or a shutdown.
    Write,
    StallPolicy,
    /// The signal of a stream without a descriptor.
    Signal,
    /// The bound of [`HalfClose::AllowFor`](crate::HalfClose::AllowFor).
    HalfClose,
    /// Our own side, which caused it.
    Us,
}

impl DetectedBy {
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
