//! The configuration of a monitored stream.

use super::stall_policy::StallPolicy;
use crate::state::HalfClose;
use rustix::fd::BorrowedFd;
#[cfg(any(target_os = "linux", target_os = "android"))]
use socket2::SockRef;
use std::io;
use std::time::Duration;

/// The configuration of a monitored stream.
///
/// # Default
///
/// * half-close: [`HalfClose::Close`]
/// * stall policy: none
/// * reset on stall: no
/// * dead-peer timeout: none
/// * read-ahead: none
/// * FIN delay: none
/// * limit of unsent bytes: that of the system
///
/// ```
/// use hangup::{HalfClose, MonitorConfig};
///
/// let config = MonitorConfig::new().half_close(HalfClose::Allow);
/// assert_ne!(config, MonitorConfig::default());
/// ```
///
/// # Which settings for which program
///
/// | the program | settings | why |
/// |---|---|---|
/// | a server that streams to browsers | [`stall`](Self::stall) with [`reset_on_stall`](Self::reset_on_stall), [`dead_peer_timeout`](Self::dead_peer_timeout) of some minutes | a reader that stalls or vanishes must not hold memory for hours |
/// | a server of short answers | [`dead_peer_timeout`](Self::dead_peer_timeout) | little is buffered, and idle clients vanish unnoticed |
/// | a client that sends to one server for days | [`dead_peer_timeout`](Self::dead_peer_timeout) of some seconds | it has to detect a lost connection soon, and reconnect |
/// | a server that does not read while it answers | [`read_ahead`](Self::read_ahead) of the largest input that a client may send meanwhile | a FIN behind more unread input than the receive buffer holds cannot arrive |
/// | a protocol above the stream with an end of its own, without [`layer`](crate::MonitoredStream::layer) | [`fin_delay`](Self::fin_delay) | the protocol says whether the FIN cuts something short |
/// | a relay, or a protocol with half-closes | [`half_close`](Self::half_close) | a FIN is not the end there |
/// | a producer of live data, such as video | [`unsent_limit`](Self::unsent_limit) | data that waits in the kernel is old when it is sent |
///
/// # What each setting bounds
///
/// | setting | the resource | what happens at the limit | costs |
/// |---|---|---|---|
/// | [`stall`](Self::stall) | the time that a slow reader blocks a writer and holds send buffers | the stream closes with [`Stalled`](crate::CloseReason::Stalled) | a timer while the kernel holds data for the peer |
/// | [`reset_on_stall`](Self::reset_on_stall) | the kernel's memory after a stall, up to some megabytes | it is freed, and the peer gets a reset | nothing |
/// | [`dead_peer_timeout`](Self::dead_peer_timeout) | the time until a peer without power or network is noticed | the stream closes with [`TimedOut`](crate::CloseReason::TimedOut) | keepalive packets on idle connections |
/// | [`half_close`](Self::half_close) with [`AllowFor`](HalfClose::AllowFor) | the time that a half-closed connection may stand still | the stream closes with [`PeerClosed`](crate::CloseReason::PeerClosed) | a task, from the FIN on |
/// | [`read_ahead`](Self::read_ahead) | our memory for input that arrives while we write | no more is read ahead, so a FIN behind it is not detected | one read for each write |
/// | [`fin_delay`](Self::fin_delay) | the time that a FIN waits for the protocol above | the stream closes without the finer reason | a task, from the FIN on |
/// | [`unsent_limit`](Self::unsent_limit) | data in the kernel that was not sent | writes wait | a little throughput |
///
/// Nothing here bounds what a client sends, the age of a connection, or the number of connections. `hangup::serve` does
/// that for HTTP.
///
/// A configuration costs nothing for settings that are not used. It is cheap to clone, and one value serves any number of
/// streams.
///
/// ```
/// use hangup::{MonitorConfig, MonitoredListener, StallPolicy};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// // Streams to browsers: 64 KiB in 30 s at the least, and gone clients within ten minutes.
/// let config = MonitorConfig::new()
///     .stall(StallPolicy::new(64 * 1024, Duration::from_secs(30)))
///     .reset_on_stall(true)
///     .dead_peer_timeout(Duration::from_secs(600));
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?.config(config);
/// # let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let (stream, _) = listener.accept().await?;
/// assert!(!stream.is_closed());
/// # drop(client);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MonitorConfig {
    half_close: HalfClose,
    stall: Option<StallPolicy>,
    reset_on_stall: bool,
    pub(super) dead_peer_timeout: Option<Duration>,
    read_ahead: Option<usize>,
    pub(super) fin_delay: Option<Duration>,
    unsent_limit: Option<u32>,
}

impl MonitorConfig {
    /// The default configuration.
    ///
    /// ```
    /// assert_eq!(hangup::MonitorConfig::new(), hangup::MonitorConfig::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// What a FIN means while we are still sending. Default: [`HalfClose::Close`].
    ///
    /// With [`HalfClose::Allow`] a client that closed, rather than half-closed, is detected one write later. Choose
    /// it only for a protocol that needs it.
    ///
    /// ```
    /// use hangup::{HalfClose, MonitorConfig};
    ///
    /// let config = MonitorConfig::new().half_close(HalfClose::Allow);
    /// assert_ne!(config, MonitorConfig::new());
    /// ```
    #[must_use]
    pub fn half_close(mut self, half_close: HalfClose) -> Self {
        self.half_close = half_close;
        self
    }

    /// Fills in the defaults of a server from `other`, where nothing was set: the stall policy with its reset, and the
    /// dead-peer timeout.
    #[cfg(feature = "serve")]
    pub(crate) fn or(&mut self, other: &Self) {
        if self.stall.is_none() {
            self.stall = other.stall;
            self.reset_on_stall |= other.reset_on_stall;
        }
        self.dead_peer_timeout = self.dead_peer_timeout.or(other.dead_peer_timeout);
    }

    pub(crate) fn half_close_policy(&self) -> HalfClose {
        self.half_close
    }

    /// Requires the peer to take what we send at a minimum rate. Default: no policy, so a peer that reads nothing
    /// blocks a writer forever.
    ///
    /// If the peer falls below the rate, the stream closes with
    /// [`CloseReason::Stalled`](crate::CloseReason::Stalled), and a pending call of the stream is woken and fails with
    /// that reason. [`StallPolicy`] says what a policy measures and how to choose one.
    ///
    /// # Errors
    ///
    /// Wrapping a stream fails with [`Unsupported`](io::ErrorKind::Unsupported) if the runtime was built without a
    /// timer.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitorConfig, MonitoredStream, StallPolicy};
    /// use std::time::Duration;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let policy = StallPolicy::new(1024, Duration::from_secs(10));
    /// let (io, _peer) = tokio::io::duplex(64); // the peer never reads
    /// let config = MonitorConfig::new().stall(policy);
    /// let mut stream = MonitoredStream::unwatched_with_config(io, &config);
    /// let error = stream.write_all(&[0; 1000]).await.unwrap_err();
    /// assert_eq!(CloseReason::from(&error), CloseReason::Stalled);
    /// # }
    /// ```
    #[must_use]
    pub fn stall(mut self, policy: StallPolicy) -> Self {
        self.stall = Some(policy);
        self
    }

    /// Whether to reset the connection of a stalled peer, as [`Monitor::abort`](crate::Monitor::abort) does. Default:
    /// no.
    ///
    /// Without a reset the kernel keeps what it has accepted, up to some megabytes per connection, and keeps offering it
    /// to the peer after the stream is dropped. A reset frees that memory at once, and discards input that we have not
    /// read.
    ///
    /// ```
    /// use hangup::{MonitorConfig, StallPolicy};
    /// use std::time::Duration;
    ///
    /// let policy = StallPolicy::new(16 * 1024, Duration::from_secs(30));
    /// let config = MonitorConfig::new().stall(policy).reset_on_stall(true);
    /// assert_ne!(config, MonitorConfig::new().stall(policy));
    /// ```
    #[must_use]
    pub fn reset_on_stall(mut self, reset: bool) -> Self {
        self.reset_on_stall = reset;
        self
    }

    pub(crate) fn stall_policy(&self) -> Option<(StallPolicy, bool)> {
        Some((self.stall?, self.reset_on_stall))
    }

    /// Lets writes, flushes and shutdowns read up to `limit` bytes of unread input into a buffer of the stream, so that
    /// a FIN behind it can arrive. Default: none; zero turns it off.
    ///
    /// A peer cannot send its FIN while our receive window is full of unread data (RFC 9293, section 3.8.6), so a server
    /// that only sends never sees it. With this option each write first reads what is there; later reads get it from the
    /// buffer, in order. The window opens, the rest of the data arrives, and then the FIN.
    ///
    /// It costs up to `limit` bytes of memory for each connection whose peer sends that much unasked, and one read for
    /// each write. It does not help against a peer that sends more than the kernel's buffer and this one hold. Nothing is
    /// moved while the stream is neither written nor read.
    ///
    /// It applies to watched streams. [`into_inner`](crate::MonitoredStream::into_inner) loses what was moved and not
    /// read.
    ///
    /// ```
    /// use hangup::{MonitorConfig, MonitoredStream};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let config = MonitorConfig::new().read_ahead(64 * 1024);
    /// let mut stream = MonitoredStream::with_config(listener.accept().await?.0, &config)?;
    /// client.write_all(b"request").await?;
    /// stream.write_all(b"events").await?;
    /// // Reads return the input, whether or not a write has moved it.
    /// let mut request = [0; 7];
    /// stream.read_exact(&mut request).await?;
    /// assert_eq!(&request, b"request");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn read_ahead(mut self, limit: usize) -> Self {
        self.read_ahead = (limit > 0).then_some(limit);
        self
    }

    pub(crate) fn read_ahead_limit(&self) -> Option<usize> {
        self.read_ahead
    }

    /// Limits the bytes in the kernel that were not sent yet (`TCP_NOTSENT_LOWAT`, tcp(7)). Default: the limit of the
    /// system, which is none on Linux.
    ///
    /// Without it, writes are accepted until the send buffer is full, up to some megabytes. A program that produces
    /// tokens or rows then runs that far ahead of a client that reads slowly, and its newest data waits behind the
    /// rest. With a limit, a write is pending as soon as that many bytes wait to be sent. Bytes on their way through
    /// the network do not count, so a limit of 16 KiB to 128 KiB costs little throughput.
    ///
    /// It is set when a TCP stream is wrapped on Linux or Android, and stays set. Other streams and systems ignore it.
    ///
    /// ```
    /// use hangup::{MonitorConfig, MonitoredListener};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let config = MonitorConfig::new().unsent_limit(16 * 1024);
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?.config(config);
    /// # let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// # #[cfg(target_os = "linux")]
    /// assert_eq!(socket2::SockRef::from(stream.get_ref()).tcp_notsent_lowat()?, 16 * 1024);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn unsent_limit(mut self, bytes: u32) -> Self {
        self.unsent_limit = Some(bytes);
        self
    }

    /// Sets the limit of unsent bytes on a TCP `socket`.
    pub(crate) fn limit_unsent(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(bytes) = self.unsent_limit {
            let set = SockRef::from(&socket).set_tcp_notsent_lowat(bytes);
            // Sockets of other protocols do not have the option.
            let missing = |error: &io::Error| error.raw_os_error() == Some(libc::EOPNOTSUPP);
            return set.or_else(|error| if missing(&error) { Ok(()) } else { Err(error) });
        }
        let _ = socket;
        Ok(())
    }
}

#[cfg(all(test, feature = "serve"))]
mod tests {
    use super::*;

    #[test]
    fn a_server_fills_in_only_what_is_not_set() {
        let [quick, slow] = [1, 2].map(|seconds| {
            let window = Duration::from_secs(seconds);
            let config = MonitorConfig::new().stall(StallPolicy::new(1, window));
            config.dead_peer_timeout(60 * window)
        });
        let server = slow.reset_on_stall(true);
        let mut config = MonitorConfig::new();
        config.or(&server);
        assert_eq!(config, server);
        // The reset belongs to the policy.
        let mut config = quick.clone();
        config.or(&server);
        assert_eq!(config, quick);
        let mut config = MonitorConfig::new().reset_on_stall(true);
        config.or(&quick);
        assert_eq!(config, quick.reset_on_stall(true));
    }
}
