//! The dead-peer timeout: derives the timers of the system from one duration.
//!
//! [`MonitorConfig::dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout) documents the sum of these timers. On
//! Linux the user timeout also ends keepalive: the connection fails at the first probe that is due after the user
//! timeout, and not after the last probe (`tcp_keepalive_timer` in net/ipv4/tcp_timer.c). So the probes are placed such
//! that the last one is due exactly then. Without a user timeout, the number of probes gives the same time.

use super::config::MonitorConfig;
use rustix::fd::BorrowedFd;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::time::Duration;

impl MonitorConfig {
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

    /// Checks the values that can be out of their range. A server calls it once, before it listens:
    /// [`MonitoredListener::accept_retrying`](crate::MonitoredListener::accept_retrying) has no other way to report such a
    /// value than [`on_accept_error`](crate::MonitoredListener::on_accept_error), and closes each connection.
    /// The server of the feature `serve` does it itself.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput), for the time of [`dead_peer_timeout`](Self::dead_peer_timeout).
    ///
    /// ```
    /// use hangup::MonitorConfig;
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    ///
    /// let config = MonitorConfig::new().dead_peer_timeout(Duration::from_secs(1));
    /// assert_eq!(config.check().unwrap_err().kind(), ErrorKind::InvalidInput);
    /// MonitorConfig::new().check().unwrap();
    /// ```
    pub fn check(&self) -> io::Result<()> {
        self.timers().map(drop)
    }

    /// The timers of [`dead_peer_timeout`](Self::dead_peer_timeout), if it is on.
    pub(crate) fn timers(&self) -> io::Result<Option<Timers>> {
        self.dead_peer_timeout.map(Timers::new).transpose()
    }
}

/// Leaves three seconds of silence, enough for two probes.
const SHORTEST: Duration = Duration::from_secs(4);
/// Keeps the time before the first probe below the system's limit (`MAX_TCP_KEEPIDLE`, 32767 s).
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The number of probes without an answer. More than one, because the network may lose a packet or two.
const PROBES: u32 = 4;

/// The timers of a socket, in whole seconds, the unit of keepalive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timers {
    /// How long the peer may be silent: `idle`, and `probes` times `interval`.
    patience: Duration,
    /// Silence before the first probe.
    idle: Duration,
    /// Between two probes, and after the last one.
    interval: Duration,
    probes: u32,
}

impl Timers {
    /// The timers that detect a dead peer within `within`.
    pub(crate) fn new(within: Duration) -> io::Result<Self> {
        if !(SHORTEST..=LONGEST).contains(&within) {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "hangup: dead_peer_timeout must be between {SHORTEST:?} and {LONGEST:?}, and is {within:?}"
                ),
            ));
        }
        // Linux's timers are late by up to an eighth: 3/4 * 9/8 = 27/32, and 5/32 are left for the
        // first retransmission.
        let patience = Duration::from_secs((within * 3 / 4).as_secs());
        let interval = Duration::from_secs((patience / 8).as_secs().max(1));
        let mut probes = PROBES;
        while interval * probes >= patience {
            probes -= 1;
        }
        Ok(Self {
            patience,
            idle: patience - interval * probes,
            interval,
            probes,
        })
    }

    /// Sets the options of `socket`.
    pub(crate) fn arm(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let socket = SockRef::from(&socket);
        self.set(&socket).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("hangup: cannot set the timers of dead_peer_timeout: {error}"),
            )
        })
    }

    #[cfg(any(
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "linux",
        target_os = "netbsd",
        target_vendor = "apple",
        windows,
    ))]
    fn set(&self, socket: &SockRef<'_>) -> io::Result<()> {
        #[cfg(any(target_os = "android", target_os = "linux"))]
        match socket.set_tcp_user_timeout(Some(self.patience)) {
            // MPTCP refuses it (mptcp_sol_tcp_opt in net/mptcp/sockopt.c); keepalive is left.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::ENOPROTOOPT)
                ) => {}
            set => set?,
        }
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(self.idle)
            .with_interval(self.interval)
            .with_retries(self.probes);
        let set = socket.set_tcp_keepalive(&keepalive);
        #[cfg(windows)]
        if set.is_err() {
            // The number of probes can be set since Windows 10, version 1703. Otherwise it is 10.
            let keepalive = socket2::TcpKeepalive::new()
                .with_time(self.idle)
                .with_interval(self.interval * self.probes / 10);
            return socket.set_tcp_keepalive(&keepalive);
        }
        set
    }

    /// How long the peer may be silent.
    #[cfg(windows)]
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    #[cfg(not(any(
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "linux",
        target_os = "netbsd",
        target_vendor = "apple",
        windows,
    )))]
    fn set(&self, _: &SockRef<'_>) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers(within: Duration) -> (u64, u64, u64, u32) {
        let timers = Timers::new(within).unwrap();
        (
            timers.patience.as_secs(),
            timers.idle.as_secs(),
            timers.interval.as_secs(),
            timers.probes,
        )
    }

    #[test]
    fn the_times_that_the_documentation_names() {
        assert_eq!(timers(Duration::from_secs(4)), (3, 1, 1, 2));
        assert_eq!(timers(Duration::from_secs(6)), (4, 1, 1, 3));
        assert_eq!(timers(Duration::from_secs(10)), (7, 3, 1, 4));
        assert_eq!(timers(Duration::from_secs(60)), (45, 25, 5, 4));
        assert_eq!(timers(Duration::from_secs(600)), (450, 226, 56, 4));
        assert_eq!(timers(LONGEST), (64_800, 32_400, 8_100, 4));
        // Parts of a second only ever shorten the patience.
        assert_eq!(timers(Duration::from_millis(5_333)), (3, 1, 1, 2));
        assert_eq!(timers(Duration::from_millis(5_334)), (4, 1, 1, 3));
    }

    #[test]
    fn every_second_adds_up() {
        for within in SHORTEST.as_secs()..=LONGEST.as_secs() {
            let (patience, idle, interval, probes) = timers(Duration::from_secs(within));
            assert_eq!(idle + interval * u64::from(probes), patience, "{within}");
            // The limits of the options (`do_tcp_setsockopt` in net/ipv4/tcp.c).
            assert!((1..=32_767).contains(&idle), "{within}");
            assert!((1..=32_767).contains(&interval), "{within}");
            assert!((2..=PROBES).contains(&probes), "{within}");
            assert!(patience * 4 <= within * 3, "{within}");
            assert!((patience + 1) * 4 > within * 3, "{within}");
            // The idle clock with each timer late by an eighth; the other clock with the first
            // retransmission after two time-outs of a twelfth, and its last timer, at most half of the
            // patience and a time-out more, late.
            assert!(patience * 9 <= within * 8, "{within}");
            let rto = within as f64 / 12.0;
            let patience = patience as f64;
            let late = patience + (patience + rto) / 16.0;
            assert!(2.0 * rto * 9.0 / 8.0 + late <= within as f64, "{within}");
        }
    }

    #[test]
    fn absurd_times_are_refused() {
        let nanosecond = Duration::from_nanos(1);
        for within in [
            Duration::ZERO,
            nanosecond,
            Duration::from_millis(999),
            SHORTEST - nanosecond,
            LONGEST + nanosecond,
            Duration::MAX,
        ] {
            let error = Timers::new(within).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(
                error.to_string().contains("between 4s and 86400s"),
                "{error}"
            );
        }
    }
}
