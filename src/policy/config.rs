//! The configuration of a monitored stream.

use super::dead_peer::Timers;
use super::fin_delay::FinDelay;
use super::stall::StallPolicy;
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
    dead_peer_timeout: Option<Duration>,
    read_ahead: Option<usize>,
    fin_delay: Option<Duration>,
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

    pub(crate) fn policy(&self) -> HalfClose {
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

    /// Lets the operating system detect a dead peer within this time. Default: off.
    ///
    /// A peer that loses power or network sends nothing; only a timeout can detect it. This sets two timers:
    /// keepalive (`SO_KEEPALIVE`), which probes an idle peer, and `TCP_USER_TIMEOUT`, which bounds the wait for an
    /// acknowledgement. Neither is enough alone: keepalive never fires with data in flight or behind a zero window,
    /// and the user timeout never fires on an idle connection (tcp(7), RFC 9293, section 3.8.3). The stream closes
    /// with [`TimedOut`], or with [`Unreachable`] if the network answered instead of the peer.
    ///
    /// # It also ends slow readers
    ///
    /// A peer that does not read has a zero window. If the window stays zero for three quarters of the time, the
    /// connection ends, although the peer is alive. That can happen to a slow reader: its kernel reopens a closed
    /// window only when there is much room again. Measured on Linux 6.18: when 0.13 MB of the receive buffer had been
    /// read, and up to 1.2 MB where the buffer had grown. A reader of R bytes a second needs up to 1.2 MB / R for that.
    ///
    /// Choose ten minutes where clients may be slow: readers of 3 kB/s and more are safe then. Choose less only where
    /// you know how fast clients read: with one minute, readers of 30 kB/s are safe.
    ///
    /// # The exact bound
    ///
    /// The silence that is tolerated, *P*, is three quarters of `within`, rounded down to whole seconds. The rest
    /// covers the coarseness of the system's timers, which on Linux are late by up to an eighth, and the first
    /// retransmission. The probe interval *i* is an eighth of *P*, and there are *n* = 4 probes; for a short *P* the
    /// interval is one second, and there are as many probes as fit. On Linux:
    ///
    /// | the connection is | the clock starts with | the stream closes |
    /// |---|---|---|
    /// | idle | the last packet from the peer | after *P*: *P* − *n i* of silence, then *n* probes, *i* apart |
    /// | with data in flight | the first retransmission: one or two retransmission timeouts (RTO) after the oldest byte was sent | *P* later |
    /// | with a zero window | the first window probe: one RTO after the window closed | *P* later if the window has not opened, whether or not the peer answers the probes |
    ///
    /// So it closes not before *P* and not after `within`, as long as the RTO is at most a twelfth of `within`. The RTO is
    /// about 0.2 s more than the round trip, and 1 s until a round trip was measured. A `within` of 60 s gives P = 45 s:
    /// a probe after 25 s, and three more, 5 s apart.
    ///
    /// * The idle clock starts at the last packet, which may be up to *P* − *n i* before the peer is gone.
    /// * A write while the idle clock runs starts the other clock. Detection may then take twice as long.
    /// * Where the network answers instead of the peer (ICMP, or no carrier), Linux restarts the retransmission timer
    ///   without regard to the user timeout: up to half of *P* later.
    /// * Retransmissions and window probes become rarer; the last one may be at half of *P*. A link that returns after it
    ///   may return too late.
    /// * With a zero window and a peer that no longer answers, the kernel may give up earlier by itself, after
    ///   `tcp_retries2` probes: about a quarter of an hour.
    /// * MPTCP refuses the user timeout (`mptcp_sol_tcp_opt` in net/mptcp/sockopt.c). Keepalive is set, and with data in
    ///   flight or a zero window the kernel's own limit decides.
    ///
    /// # Other systems
    ///
    /// macOS, FreeBSD, NetBSD and DragonFly get keepalive with the same times and no user timeout. The bound holds for an
    /// idle connection; with data in flight or a zero window the system's own limit decides. None of that was run.
    ///
    /// Windows gets keepalive with the same times, and `TCP_MAXRT` of *P* for data in flight, as its documentation describes
    /// them. Versions that do not let the number of probes be set (before Windows 10, version 1703) send ten in the
    /// same time. It was run under Wine, which accepts keepalive and refuses `TCP_MAXRT`, and on no dead peer.
    ///
    /// On other systems, which cannot set these times, wrapping a TCP stream fails with [`Unsupported`].
    ///
    /// # Which streams
    ///
    /// The options are set when the stream is wrapped, and stay set on a socket that is taken out again. They work above
    /// and below TLS. A Unix socket and a pipe need none, because their peer is in the same kernel. An
    /// [unwatched](crate::MonitoredStream::unwatched) stream has no socket. `None` leaves the socket as it is.
    ///
    /// # Errors
    ///
    /// [`with_config`](crate::MonitoredStream::with_config) fails with [`InvalidInput`] for a time below 4 s (keepalive
    /// counts in seconds and needs two probes) or above 24 h, for every kind of stream.
    ///
    /// ```
    /// use hangup::{MonitorConfig, MonitoredListener};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let config = MonitorConfig::new().dead_peer_timeout(Duration::from_secs(600));
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?.config(config);
    /// # let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// assert!(socket2::SockRef::from(stream.get_ref()).keepalive()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`TimedOut`]: crate::CloseReason::TimedOut
    /// [`Unreachable`]: crate::CloseReason::Unreachable
    /// [`InvalidInput`]: io::ErrorKind::InvalidInput
    /// [`Unsupported`]: io::ErrorKind::Unsupported
    #[must_use]
    pub fn dead_peer_timeout(mut self, within: impl Into<Option<Duration>>) -> Self {
        self.dead_peer_timeout = within.into();
        self
    }

    /// The timers of [`dead_peer_timeout`](Self::dead_peer_timeout), if it is on.
    pub(crate) fn timers(&self) -> io::Result<Option<Timers>> {
        self.dead_peer_timeout.map(Timers::new).transpose()
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

    /// Delays a FIN for up to `within`, until the stream's own reads have said what it means. Default: none, and 3 ms for
    /// a [layered](crate::MonitoredStream::layer) stream. Zero turns it off.
    ///
    /// For a stream whose protocol has an end of its own, such as TLS. A FIN after close_notify is [`PeerClosed`], one
    /// without it is [`Truncated`], and an alert ([`TlsAlert`]) or an invalid record ([`Tls`]) may precede it. The watcher
    /// sees only the FIN, and usually sees it first. With this option
    /// * a pending read finds the end by itself and reports it, as early as the watcher would have;
    /// * a pending write, flush or shutdown is woken; each of them reads ahead up to 64 KiB of input, which later reads get
    ///   in order, to find the end behind it;
    /// * if none has found it `within` this time, the stream closes as it would have without the delay.
    ///
    /// So a stream that is read or written reports the close no later, and an idle one reports it `within` later and
    /// without the finer reason. A few milliseconds are enough: the delay covers the time until the other task runs. The
    /// timer starts with a FIN. A reset is never delayed. A [probe](crate::Monitor::probe) reports the FIN after the delay.
    ///
    /// It applies to watched streams, and to the *upper* of two streams, which reads the protocol:
    /// `MonitoredStream<TlsStream<TcpStream>>`. A stream below TLS reads only the FIN itself.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitorConfig, MonitoredStream};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let tls = listener.accept().await?.0;
    /// let config = MonitorConfig::new().fin_delay(Duration::from_millis(3));
    /// let stream = MonitoredStream::with_config(tls, &config)?;
    /// # drop(client);
    /// // Nobody reads.
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`PeerClosed`]: crate::CloseReason::PeerClosed
    /// [`Truncated`]: crate::CloseReason::Truncated
    /// [`TlsAlert`]: crate::CloseReason::TlsAlert
    /// [`Tls`]: crate::CloseReason::Tls
    #[must_use]
    pub fn fin_delay(mut self, within: Duration) -> Self {
        self.fin_delay = Some(within);
        self
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

    /// Sets the default FIN delay of a layered stream, unless one is set.
    #[cfg(feature = "tls")]
    pub(crate) fn delay_fin_by_default(&mut self) {
        self.fin_delay.get_or_insert(FinDelay::FOR_LAYERS);
    }

    pub(crate) fn is_fin_delayed(&self) -> bool {
        self.fin_delay.is_some_and(|within| !within.is_zero())
    }

    pub(crate) fn new_fin_delay(&self) -> io::Result<Option<FinDelay>> {
        self.fin_delay.map(FinDelay::new).transpose()
    }
}
