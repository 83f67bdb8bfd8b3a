//! The policy for peers that do not read what we send.

use std::time::Duration;

/// The number of readings in a window. With twelve a stalled peer is detected within a window and a tenth, and some time
/// is left for a busy runtime.
pub(super) const LOOKS: u32 = 12;

/// The shortest window. tokio's timer counts milliseconds, and each reading takes one of them.
const SHORTEST: Duration = Duration::from_millis(LOOKS as u64);

/// The longest window, a year: adding it to the present time overflows no clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The rate at which a peer must take what we send, while there is something for it to take.
///
/// A peer that is connected and reads nothing, or very slowly, blocks a writer forever and holds memory. No FIN and no
/// reset comes, the peer's kernel answers keepalive, and one byte now and then satisfies a time limit on single
/// writes. So the policy is a rate: the peer must take at least `bytes` in each `window`, or everything that the
/// kernel held for it at the start of the window if that was less. A stream that falls below the rate closes with
/// [`CloseReason::Stalled`](crate::CloseReason::Stalled), at most a window and a tenth after the peer has stopped. On a
/// busy runtime it is later: the policy needs thirteen to twenty-six polls of the task that waits for the peer, and no peer
/// is stalled because the runtime was late, if the buffer between the two holds what the peer must take in a sixth of a
/// window.
///
/// # How to choose the numbers
///
/// * Start from the slowest link that you want to keep, and from what it carries rather than from its rate: TCP sends a
///   part again. A link of 32 kbit/s carried 97 KB in its first 30 s. 64 KiB in 30 s keep it, and end one of 24 kbit/s
///   (`docs/measurements.md`).
/// * A longer window tolerates longer pauses at the same rate: a client that changes from Wi-Fi to a mobile network may
///   be silent for ten seconds.
/// * A kernel acknowledges as long as it has room, and reports new room in steps of up to half of its buffer. So a
///   reader that is slow and steady looks like one that pauses. Choose a window in which it gets through some
///   100 KiB, or more if buffers are larger.
/// * One byte in a window (`StallPolicy::new(1, window)`) catches only a peer that takes nothing at all.
///
/// ```
/// use hangup::{MonitorConfig, StallPolicy};
/// use std::time::Duration;
///
/// let policy = StallPolicy::new(64 * 1024, Duration::from_secs(30));
/// let config = MonitorConfig::new().stall(policy).reset_on_stall(true);
/// # assert_eq!(policy.bytes(), 65536);
/// # assert_eq!(policy.window(), Duration::from_secs(30));
/// # assert_eq!(config, config.clone());
/// ```
///
/// # Policies for common programs
///
/// | the program sends | policy | who is kept | detected after at most |
/// |---|---|---|---|
/// | rare events | `StallPolicy::new(1, Duration::from_secs(60))` | everybody who reads at all | 66 s |
/// | tokens of a model, log lines | `StallPolicy::new(1024, Duration::from_secs(30))` | readers of 34 bytes a second | 33 s |
/// | pages and downloads | `StallPolicy::new(64 * 1024, Duration::from_secs(30))` | readers of 2.2 kB/s | 33 s |
/// | video of 2 Mbit/s | `StallPolicy::new(1024 * 1024, Duration::from_secs(10))` | readers of 0.84 Mbit/s; the others cannot play it anyway | 11 s |
///
/// A peer that took everything is never stalled, so a policy does not require that there is always something to send.
///
/// ```
/// use hangup::{CloseReason, MonitorConfig, MonitoredStream, StallPolicy};
/// use std::time::Duration;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::time::{Instant, sleep};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> std::io::Result<()> {
/// let policy = StallPolicy::new(100, Duration::from_secs(10));
/// let (io, mut peer) = tokio::io::duplex(64);
/// let config = MonitorConfig::new().stall(policy);
/// let mut stream = MonitoredStream::unwatched_with_config(io, &config);
///
/// // 20 bytes in a second are enough.
/// let reader = tokio::spawn(async move {
///     for _ in 0..60 {
///         sleep(Duration::from_secs(1)).await;
///         peer.read_exact(&mut [0; 20]).await.unwrap();
///     }
///     peer
/// });
/// stream.write_all(&[0; 1200]).await?;
/// let _peer = reader.await?;
///
/// // Then the peer stops reading.
/// let began = Instant::now();
/// let error = stream.write_all(&[0; 1200]).await.unwrap_err();
/// assert_eq!(CloseReason::from(&error), CloseReason::Stalled);
/// assert!(began.elapsed() <= Duration::from_secs(11));
/// # Ok(())
/// # }
/// ```
///
/// # When it counts
///
/// On Linux, for TCP and for pipes, it counts while the kernel holds bytes that the peer has not taken, whether or
/// not a call of the stream is pending. So it also covers a response that fits into the send buffer. When the kernel
/// holds nothing, the window ends. A call that is pending for another reason, such as a rate limit of our own, is
/// not held against the peer.
///
/// On other systems, for Unix sockets and for streams without a socket, it counts while a write, a flush or a shutdown is
/// pending. The time between a pending call that is dropped and the next call does not count. But a program that gives up
/// again and again, and each time finds that the peer has taken nothing since, closes the stream at the thirteenth to
/// twenty-sixth time.
///
/// | stream | what counts as taken | when |
/// |---|---|---|
/// | TCP on Linux, also under TLS | bytes that the peer's kernel has acknowledged | while our kernel holds some |
/// | pipe on Linux | bytes that the reader has read | while the pipe holds some |
/// | Unix socket on Linux | bytes that the kernel accepts, and memory that the peer's reads free | while a call is pending |
/// | everything else | bytes that the wrapped stream accepts | while a call is pending |
///
/// In the last row the progress comes in large steps: a kernel accepts more only when a good part of its buffer is free
/// again, which may be a megabyte. The memory of a Unix socket is more than the bytes in it, some 800 bytes for a message
/// of 100. So a reader may be somewhat slower there than the policy says, and one that keeps to it is never closed.
///
/// # What it costs
///
/// While it counts, a timer and twelve questions to the kernel in each window. Otherwise there is neither a timer nor a
/// wake-up.
///
/// # After the drop
///
/// A kernel goes on offering what it has accepted after the stream is dropped, for minutes. On Linux a TCP stream with a
/// policy sets its window as `TCP_USER_TIMEOUT` (tcp(7)) when it is dropped, so a peer that acknowledges nothing for
/// that long is given up. A shorter one, such as that of a [`dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout),
/// stays. [`reset_on_stall`](crate::MonitorConfig::reset_on_stall) frees the memory as soon as the stream closes.
///
/// # Compared with other limits
///
/// * A timeout around `write_all` also punishes a fast peer for a large write, and a timeout around each `write` is
///   satisfied by one byte.
/// * [`dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout) detects a peer that is gone. A stalled peer is there:
///   its kernel answers.
/// * A limit on the age of a connection ends slow and fast downloads alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StallPolicy {
    bytes: u64,
    window: Duration,
}

impl StallPolicy {
    /// At least `bytes` in each `window`.
    ///
    /// Zero bytes are raised to one. The window is raised to twelve milliseconds, or lowered to a year.
    ///
    /// ```
    /// use hangup::StallPolicy;
    /// use std::time::Duration;
    ///
    /// let least = StallPolicy::new(0, Duration::ZERO);
    /// assert_eq!((least.bytes(), least.window()), (1, Duration::from_millis(12)));
    /// ```
    pub fn new(bytes: u64, window: Duration) -> Self {
        Self {
            bytes: bytes.max(1),
            window: window.clamp(SHORTEST, LONGEST),
        }
    }

    /// The time between two readings.
    pub(crate) fn slice(&self) -> Duration {
        self.window / LOOKS
    }

    /// How many bytes the peer must take in each window.
    ///
    /// ```
    /// use hangup::StallPolicy;
    /// use std::time::Duration;
    ///
    /// assert_eq!(StallPolicy::new(1024, Duration::from_secs(10)).bytes(), 1024);
    /// ```
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The length of a window.
    ///
    /// ```
    /// use hangup::StallPolicy;
    /// use std::time::Duration;
    ///
    /// let window = Duration::from_secs(10);
    /// assert_eq!(StallPolicy::new(1024, window).window(), window);
    /// ```
    pub fn window(&self) -> Duration {
        self.window
    }
}
