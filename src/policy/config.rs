//! How a stream is watched.

use super::dead_peer::Timers;
use super::fin_delay::FinDelay;
use super::stall::StallPolicy;
use crate::state::HalfClose;
use rustix::fd::BorrowedFd;
#[cfg(any(target_os = "linux", target_os = "android"))]
use socket2::SockRef;
use std::io;
use std::time::Duration;

/// How a stream is watched.
///
/// # Default
///
/// * half-close: [`HalfClose::Close`]
/// * stall policy: none
/// * reset on abort: no
/// * silent death: off
/// * drain of unread input: none
/// * hold of a FIN: none
/// * limit of unsent bytes: the system's
///
/// ```
/// use hangup::{HalfClose, MonitorConfig};
///
/// let config = MonitorConfig::new().half_close(HalfClose::Allow);
/// assert_ne!(config, MonitorConfig::default());
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
    pub fn new() -> Self {
        Self::default()
    }

    /// What a FIN means while we are still sending. Default: [`HalfClose::Close`].
    ///
    /// With [`HalfClose::Allow`] a client that closed, rather than half-closed, is found out one
    /// write later: choose it only for a protocol that needs it.
    #[must_use]
    pub fn half_close(mut self, half_close: HalfClose) -> Self {
        self.half_close = half_close;
        self
    }

    /// Takes from `other` what a server has defaults for, where nothing was set: a stall policy and what to do
    /// with a stalled peer, and the bound for a dead one.
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

    /// How much the peer must drain while there is something for it to drain. Default: no policy, and a peer that
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
    pub fn reset_on_stall(mut self, reset: bool) -> Self {
        self.reset_on_stall = reset;
        self
    }

    pub(crate) fn stall_policy(&self) -> Option<(StallPolicy, bool)> {
        Some((self.stall?, self.reset_on_stall))
    }

    /// Has the operating system find out within this time that a silent peer is gone. Default: off.
    ///
    /// A peer that loses its power or its network says nothing, and without a timer it is never missed.
    /// This arms two: keepalive (`SO_KEEPALIVE`), which asks an idle peer whether it is there, and
    /// `TCP_USER_TIMEOUT`, which bounds the wait for an acknowledgement. One does not do for the other:
    /// keepalive never fires with data in flight or behind a zero window, the user timeout never on an
    /// idle connection (tcp(7), RFC 9293, section 3.8.3). The close is [`TimedOut`] or, if the network
    /// has answered in the peer's place, [`Unreachable`].
    ///
    /// # It ends peers that are alive
    ///
    /// A peer that reads nothing has a zero window, and one whose window stays zero for three quarters
    /// of the time is ended, alive or not. To a slow reader that happens too: its kernel opens a closed
    /// window when there is much room again. Measured on Linux 6.18: when 0.13 MB of the receive buffer
    /// had been read, and up to 1.2 MB where the buffer had grown. For that a reader of R bytes a second
    /// takes up to 1.2 MB / R.
    ///
    /// Choose ten minutes where clients may be slow: readers of 3 kB/s and more are safe then. Less only
    /// where you know how fast they read: with one minute, those of 30 kB/s.
    ///
    /// # The exact bound
    ///
    /// The patience, *P*, is three quarters of `within`, rounded down to whole seconds. The rest is for
    /// the coarseness of the system's timers, which on Linux are late by up to an eighth, and for the
    /// first retransmission. The probes' interval *i* is an eighth of *P*, and their number *n* is 4; of
    /// a short *P* they are one second and as many as fit. On Linux:
    ///
    /// | the connection is | the clock starts with | the stream closes |
    /// |---|---|---|
    /// | idle | the last packet from the peer | after *P*: *P* − *n i* of silence, then *n* probes, *i* apart |
    /// | with data in flight | the first retransmission: one or two retransmission time-outs (RTO) after the oldest byte was sent | *P* later; the last timer is set to that very time |
    /// | with a zero window | the first window probe: one RTO after the window closed | *P* later, whether the peer answers the probes or not, if the window has not opened |
    ///
    /// So not before *P*, and not after `within`, as long as the RTO is at most a twelfth of `within`. It
    /// is about 0.2 s more than the round trip, and 1 s until one has been measured. With `within` of
    /// 60 s that is P = 45 s: a probe after 25 s, and three more, 5 s apart.
    ///
    /// * The idle clock runs from the last sign of life, which may be *P* − *n i* before the peer is gone.
    /// * What is written while the idle clock runs starts the other one: from the moment the peer is gone
    ///   it may then take twice as long.
    /// * Where the network answers in the peer's place (ICMP, or no carrier), Linux sets the
    ///   retransmission timer anew without regard to the user timeout: up to half of *P* later.
    /// * Retransmissions and window probes come at ever longer intervals, the last one before the end
    ///   maybe at half of *P*. A link that comes back later than that may come too late.
    /// * With a zero window and a peer that answers no more the kernel may give up earlier on its own,
    ///   after `tcp_retries2` probes: about a quarter of an hour.
    ///
    /// # Elsewhere
    ///
    /// macOS, FreeBSD, NetBSD, DragonFly and Windows get keepalive with the same times, and no user
    /// timeout: the bound is that of the idle connection, and with data in flight or a zero window the
    /// system's own patience may decide. None of that was run. On other systems, which cannot set these
    /// times, wrapping a TCP stream fails with [`Unsupported`].
    ///
    /// # What it applies to
    ///
    /// The options are set when the stream is wrapped, and stay set on a socket that is taken out again.
    /// A stream above or below TLS is as good as a bare one. On a Unix socket there is nothing to set:
    /// its peer is in the same kernel, and cannot vanish without a word. An
    /// [unwatched](crate::MonitoredStream::unwatched) stream has no socket. `None` leaves the socket as
    /// it is.
    ///
    /// # Errors
    ///
    /// A time below 4 s (keepalive counts in seconds, and wants two probes) or above 24 h makes
    /// [`with_config`](crate::MonitoredStream::with_config) fail with [`InvalidInput`], whatever kind of
    /// socket is wrapped.
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

    /// Has writes, flushes and shutdowns move up to `limit` bytes of unread input to the side, so that a
    /// FIN behind it can be seen. Default: no; zero is no too.
    ///
    /// A peer whose data our receive window has no more room for keeps its FIN back behind that data
    /// (RFC 9293, section 3.8.6): a server that only sends never hears of it. With this each write first
    /// reads what there is, into a buffer of the stream's own, from which later reads take it in order.
    /// The window opens, the rest of the data comes, and so does the FIN.
    ///
    /// It costs `limit` bytes of memory for each connection whose peer sends that much unasked, and a read
    /// for each write. A peer that sends more than fits into the kernel's buffer and this one is not seen
    /// through. While the stream is neither written nor read nothing is moved.
    ///
    /// It applies to streams that are watched; [`into_inner`](crate::MonitoredStream::into_inner) loses
    /// what was moved and not read.
    #[must_use]
    pub fn read_ahead(mut self, limit: usize) -> Self {
        self.read_ahead = (limit > 0).then_some(limit);
        self
    }

    pub(crate) fn unread_limit(&self) -> Option<usize> {
        self.read_ahead
    }

    /// Has a FIN that the watcher hears wait up to `within` for the stream's own reads to say what it
    /// means. Default: no; for a [layered](crate::MonitoredStream::layer) stream, 3 ms. Zero is no.
    ///
    /// For a stream whose protocol has an end of its own, as TLS has. A FIN behind TLS's close_notify is
    /// [`PeerClosed`], one without it [`Truncated`], and before it there may be an alert ([`TlsAlert`]) or
    /// a record that cannot be read ([`Tls`]). The watcher knows only of the FIN, and is mostly the first
    /// to hear of it. With this
    /// * a pending read finds the end by itself and tells of it, as soon as the watcher would have;
    /// * a write, flush or shutdown that is pending is woken, and each one reads ahead up to 64 KiB of
    ///   input, which later reads get in order, to find the end behind it;
    /// * if neither has found it `within` this time, the stream closes as it would have done without:
    ///   nobody was there to read.
    ///
    /// So a stream that is read or written hears no later, and one that is left idle hears `within` later
    /// and without the difference. A few milliseconds will do: it is the time between two tasks' turns
    /// that matters. A timer is made when a FIN is heard, and not before; a reset never waits. A
    /// [probe](crate::Monitor::probe) tells of the FIN when the time is over, whatever the runtime does.
    ///
    /// It applies to streams that are watched, and to the *upper* of two streams, the one that reads the
    /// protocol: `MonitoredStream<TlsStream<TcpStream>>`. A stream below TLS reads the FIN itself, and
    /// nothing else.
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

    /// How many bytes the kernel may hold that it has not sent yet (`TCP_NOTSENT_LOWAT`, tcp(7)). Default:
    /// the system's limit, which is none on Linux.
    ///
    /// Without it a write is accepted until the send buffer is full, up to some megabytes: a program that
    /// makes tokens or rows runs that far ahead of a client that reads slowly, and what it made last waits
    /// behind all of it. With a limit a write is pending as soon as that many bytes wait to be sent. What is
    /// under way in the network does not count, so a limit of 16 KiB to 128 KiB costs little throughput.
    ///
    /// It is set when a TCP stream is wrapped on Linux or Android, and stays set. Other streams and systems
    /// ignore it.
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

    /// Sets the options that `socket` is to have, where its peer may be on another machine.
    pub(crate) fn limit_unsent(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(bytes) = self.unsent_limit {
            let set = SockRef::from(&socket).set_tcp_notsent_lowat(bytes);
            // A socket of another protocol does not have the option.
            let missing = |error: &io::Error| error.raw_os_error() == Some(libc::EOPNOTSUPP);
            return set.or_else(|error| if missing(&error) { Ok(()) } else { Err(error) });
        }
        let _ = socket;
        Ok(())
    }

    /// Has a FIN held for the usual time, if nothing else was said.
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
