//! How many bytes a stream has carried, and how many are under way.

use super::handle::Monitor;
use crate::state::Transfer;

impl Monitor {
    /// How many bytes the stream has carried. It makes up to three system calls to learn what was acknowledged, and none if
    /// all of it is known to be.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (io, _peer) = tokio::io::duplex(64);
    /// let mut stream = MonitoredStream::unwatched(io);
    /// let monitor = stream.monitor();
    /// stream.write_all(b"hello").await?;
    /// drop(stream);
    /// assert_eq!(monitor.transfer().accepted, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn transfer(&self) -> Transfer {
        let counters = &self.shared.counters;
        // The acknowledged bytes are read first, so that they are never more than the accepted ones.
        let acknowledged = self.shared.acknowledged();
        Transfer {
            read: counters.read(),
            accepted: counters.accepted(),
            acknowledged,
        }
    }

    /// How many bytes the wrapped stream took from writes: [`Transfer::accepted`], without asking the kernel.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (io, _peer) = tokio::io::duplex(64);
    /// let mut stream = MonitoredStream::unwatched(io);
    /// stream.write_all(b"hello").await?;
    /// assert_eq!(stream.monitor().accepted(), 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn accepted(&self) -> u64 {
        self.shared.counters.accepted()
    }

    /// Whether the number of acknowledged bytes can never be known.
    pub(crate) fn is_acknowledgement_unknowable(&self) -> bool {
        self.shared.is_acknowledgement_unknowable()
    }

    /// Two counters. At least one of them grows when bytes move towards the peer: into the stream, or out of the
    /// memory of the system.
    pub(crate) fn moved(&self) -> (u64, u64) {
        let drained = self.socket().map_or(0, |socket| socket.drained());
        (self.shared.counters.accepted(), drained)
    }

    /// How many bytes reads of the stream have returned.
    pub(crate) fn transfer_read(&self) -> u64 {
        self.shared.counters.read()
    }

    /// How many bytes the system holds for the peer; `None` if it does not report them.
    pub(crate) fn owed(&self) -> Option<u64> {
        self.socket()?.owed()
    }
}
