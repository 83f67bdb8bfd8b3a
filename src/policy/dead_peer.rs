//! The dead-peer timeout: derives the timers of the system from one duration.
//!
//! [`MonitorConfig::dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout) documents the sum of these timers. On
//! Linux the user timeout also ends keepalive: the connection fails at the first probe that is due after the user
//! timeout, and not after the last probe (`tcp_keepalive_timer` in net/ipv4/tcp_timer.c). So the probes are placed such
//! that the last one is due exactly then. Without a user timeout, the number of probes gives the same time.

use rustix::fd::BorrowedFd;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::time::Duration;

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
