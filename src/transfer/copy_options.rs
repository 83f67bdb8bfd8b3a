//! The options of a copy between two streams, and the copy itself.

use super::copy_outcome::{CopyOutcome, CopySide};
use super::direction::Direction;
use super::stand_still::StandStill;
use crate::stream::MonitoredStream;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// The default of each direction's buffer.
pub(super) const BUFFER: usize = 16 * 1024;

/// The options of a copy between two streams: [`copy_bidirectional`](super::copy_bidirectional) with other settings.
///
/// ```
/// use hangup::{CloseReason, CopyOptions, HalfClose, MonitorConfig, MonitoredStream};
/// use std::time::Duration;
/// use tokio::io::AsyncWriteExt;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let config = MonitorConfig::new().half_close(HalfClose::Allow);
/// let (a, mut client) = tokio::io::duplex(64);
/// let (b, _server) = tokio::io::duplex(64);
/// let mut a = MonitoredStream::unwatched_with_config(a, &config);
/// let mut b = MonitoredStream::unwatched_with_config(b, &config);
///
/// // The client half-closes, and no answer comes.
/// client.shutdown().await.unwrap();
/// let options = CopyOptions::new().half_close_timeout(Duration::from_secs(60));
/// let copied = options.copy(&mut a, &mut b).await;
/// assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
/// assert_eq!(copied.b.reason, None);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "options do nothing until `copy` is called"]
pub struct CopyOptions {
    a_to_b: usize,
    b_to_a: usize,
    half_close_timeout: Option<Duration>,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl CopyOptions {
    /// The defaults, as in [`copy_bidirectional`](super::copy_bidirectional): buffers of 16 KiB, and no limit on a half-close.
    ///
    /// ```
    /// assert_eq!(hangup::CopyOptions::new(), hangup::CopyOptions::default());
    /// ```
    pub const fn new() -> Self {
        Self {
            a_to_b: BUFFER,
            b_to_a: BUFFER,
            half_close_timeout: None,
        }
    }

    /// The sizes of the buffers in bytes: the largest number of bytes that one read takes from `a` and from `b`. The
    /// default is 16 KiB for both.
    ///
    /// # Panics
    ///
    /// If a size is 0.
    ///
    /// ```
    /// use hangup::CopyOptions;
    ///
    /// const UPLOADS: CopyOptions = CopyOptions::new().buffer_sizes(256 << 10, 4 << 10);
    /// assert_ne!(UPLOADS, CopyOptions::new());
    /// ```
    pub const fn buffer_sizes(mut self, a_to_b: usize, b_to_a: usize) -> Self {
        assert!(a_to_b > 0 && b_to_a > 0, "hangup: a copy needs a buffer");
        self.a_to_b = a_to_b;
        self.b_to_a = b_to_a;
        self
    }

    /// How long the other direction may stand still after one direction has ended with a FIN. The default is
    /// no limit.
    ///
    /// It matters for streams with [`HalfClose::Allow`](crate::HalfClose::Allow): a client that half-closed
    /// may be gone, and a relay with an idle server would wait for it forever. When for one to two such periods no byte was
    /// copied, and the client took none from the kernel, the stream that sent the FIN closes with
    /// [`CloseReason::PeerClosed`](crate::CloseReason::PeerClosed), and the copy ends. [`HalfClose::AllowFor`](crate::HalfClose::AllowFor)
    /// sets the same limit for each stream by itself.
    ///
    /// ```
    /// use hangup::CopyOptions;
    /// use std::time::Duration;
    ///
    /// const TUNNEL: CopyOptions = CopyOptions::new().half_close_timeout(Duration::from_secs(120));
    /// assert_ne!(TUNNEL, CopyOptions::new());
    /// ```
    pub const fn half_close_timeout(mut self, period: Duration) -> Self {
        self.half_close_timeout = Some(period);
        self
    }

    /// Copies between two streams in both directions until one of them closes: see [`copy_bidirectional`](super::copy_bidirectional).
    ///
    /// # Panics
    ///
    /// With a [`half_close_timeout`](Self::half_close_timeout), if the runtime has no timer.
    ///
    /// # Cancel safety
    ///
    /// As [`copy_bidirectional`](super::copy_bidirectional): not cancel safe.
    ///
    /// ```
    /// use hangup::{CloseReason, CopyOptions, MonitoredStream};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (a, mut client) = tokio::io::duplex(64);
    /// let (b, _server) = tokio::io::duplex(64);
    /// let (mut a, mut b) = (MonitoredStream::unwatched(a), MonitoredStream::unwatched(b));
    /// client.write_all(b"hello").await?;
    /// drop(client);
    /// let copied = CopyOptions::new().copy(&mut a, &mut b).await;
    /// assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
    /// assert_eq!((copied.a.transfer.read, copied.b.transfer.accepted), (5, 5));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn copy<A, B>(
        self,
        a: &mut MonitoredStream<A>,
        b: &mut MonitoredStream<B>,
    ) -> CopyOutcome
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut forth, mut back) = (Direction::new(self.a_to_b), Direction::new(self.b_to_a));
        let (mut a_closed, mut b_closed) = (a.closed(), b.closed());
        let mut still = self.half_close_timeout.map(StandStill::new);
        poll_fn(|cx| {
            loop {
                forth.poll(cx, a, b);
                back.poll(cx, b, a);
                if forth.done && back.done {
                    return Poll::Ready(());
                }
                // Only this tells a direction that waits for input that the other stream has closed. It ends in
                // the next turn of the loop.
                let b_over = !forth.done && Pin::new(&mut b_closed).poll(cx).is_ready();
                let a_over = !back.done && Pin::new(&mut a_closed).poll(cx).is_ready();
                if a_over || b_over {
                    continue;
                }
                let (half_closed, copied) = match (forth.ended_by_fin(), back.ended_by_fin()) {
                    (true, _) => (a.monitor(), b.monitor()),
                    (_, true) => (b.monitor(), a.monitor()),
                    _ => return Poll::Pending,
                };
                let Some(still) = &mut still else {
                    return Poll::Pending;
                };
                let moved = || (half_closed.moved(), copied.transfer_read());
                ready!(still.poll(cx, moved));
                half_closed.end_half_close();
            }
        })
        .await;
        CopyOutcome {
            a: CopySide::of(a),
            b: CopySide::of(b),
        }
    }
}
