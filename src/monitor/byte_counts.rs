//! How many bytes a stream has carried, and how many are under way.

use super::handle::Monitor;
use crate::policy::Reading;
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
    ///
    /// A task that measures how fast a client takes a response, to choose the quality of a video for instance. `accepted` runs ahead
    /// of the client by what the kernels buffer, so measure over seconds, or set
    /// [`unsent_limit`](crate::MonitorConfig::unsent_limit):
    ///
    /// ```
    /// use hangup::{Monitor, MonitoredStream};
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// /// Bytes per second, over `time`.
    /// async fn rate(monitor: &Monitor, time: Duration) -> f64 {
    ///     let before = monitor.accepted();
    ///     tokio::time::sleep(time).await;
    ///     (monitor.accepted() - before) as f64 / time.as_secs_f64()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let (io, mut client) = tokio::io::duplex(64);
    /// let mut stream = MonitoredStream::unwatched(io);
    /// let monitor = stream.monitor();
    /// tokio::spawn(async move { stream.write_all(&[0; 1 << 20]).await });
    /// tokio::spawn(async move {
    ///     loop {
    ///         tokio::time::sleep(Duration::from_millis(100)).await;
    ///         client.read_exact(&mut [0; 50]).await.unwrap();
    ///     }
    /// });
    /// let rate = rate(&monitor, Duration::from_secs(60)).await;
    /// assert!((490.0..=510.0).contains(&rate), "{rate}");
    /// # }
    /// ```
    pub fn accepted(&self) -> u64 {
        self.shared.counters.accepted()
    }

    /// Whether the number of acknowledged bytes can never be known.
    pub(crate) fn is_acknowledgement_unknowable(&self) -> bool {
        self.shared.is_acknowledgement_unknowable()
    }

    /// Changes when bytes move towards the peer: into the stream, or out of the memory of the system.
    pub(crate) fn moved(&self) -> (u64, Reading) {
        let accepted = self.shared.counters.accepted();
        let reading = self.socket().map(|socket| socket.reading());
        (accepted, reading.unwrap_or(accepted.into()))
    }

    /// How many bytes reads of the stream have returned.
    pub(crate) fn transfer_read(&self) -> u64 {
        self.shared.counters.read()
    }

    /// Whether the system goes on delivering what it holds for the peer, after the stream has closed.
    pub(crate) fn delivers(&self) -> bool {
        self.socket().is_some_and(|socket| socket.delivers())
    }

    /// How many bytes the system holds for the peer; `None` if it does not report them.
    pub(crate) fn owed(&self) -> Option<u64> {
        self.socket()?.owed()
    }
}
