//! The limits of a server, and their defaults.

use crate::policy::StallPolicy;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::time::Instant;

/// The longest time that is counted: about as long as tokio's timers can wait.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// More fields than this overflow a `HeaderMap`, with a panic (`reserve`).
const MOST_HEADERS: usize = 24_000;

/// The default of `max_connections` is never higher than this.
const MOST_CONNECTIONS: usize = 10_000;

/// Descriptors that are reserved for other uses than connections: the listener, the runtime, logs.
const OTHER_DESCRIPTORS: usize = 32;

/// What a server allows. `None` means no limit.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) head_timeout: Duration,
    pub(super) keep_alive_timeout: Duration,
    pub(super) lingering_time: Duration,
    pub(super) request_body_rate: Option<StallPolicy>,
    pub(super) stall_policy: Option<StallPolicy>,
    pub(super) dead_peer_timeout: Option<Duration>,
    pub(super) max_connections: usize,
    pub(super) max_connections_per_address: usize,
    pub(super) max_requests: usize,
    pub(super) max_requests_per_address: usize,
    pub(super) max_requests_per_connection: u32,
    pub(super) max_control_frames: u32,
    pub(super) max_head_size: usize,
    pub(super) max_headers: usize,
    pub(super) max_uri_length: usize,
    pub(super) buffer_size: usize,
    pub(super) shutdown_timeout: Duration,
    /// The descriptors for connections and files; `None` if their number has no limit.
    descriptors: Option<usize>,
}

impl Limits {
    /// Refuses a limit of zero where it would end every connection. (With `max_requests` of zero each request is answered.)
    pub(super) fn check(&self) -> io::Result<()> {
        let zero = [
            (self.head_timeout.is_zero(), "head_timeout"),
            (self.max_connections == 0, "max_connections"),
            (
                self.max_connections_per_address == 0,
                "max_connections_per_address",
            ),
            (
                self.max_requests_per_connection == 0,
                "max_requests_per_connection",
            ),
            (self.max_control_frames == 0, "max_control_frames"),
            (self.max_head_size == 0, "max_head_size"),
            (self.max_headers == 0, "max_headers"),
            (self.max_uri_length == 0, "max_uri_length"),
        ];
        match zero.into_iter().find(|(is_zero, _)| *is_zero) {
            None => Ok(()),
            Some((_, name)) => Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("hangup: `{name}` is zero: the server could serve nobody"),
            )),
        }
    }

    /// The limit of fields, as hyper can bear it.
    pub(super) fn headers(&self) -> usize {
        self.max_headers.min(MOST_HEADERS)
    }

    /// How many files the responses may have open: as many as descriptors are left beside the connections, and at least
    /// half of them.
    pub(super) fn max_files(&self) -> usize {
        self.descriptors.map_or(usize::MAX, |descriptors| {
            let left = descriptors.saturating_sub(self.max_connections);
            left.max(share(descriptors))
        })
    }

    /// How many of them one address may have open: half, unless it may have all connections.
    pub(super) fn max_files_per_address(&self) -> usize {
        match self.max_connections_per_address < self.max_connections {
            true => (self.max_files() / 2).max(1),
            false => self.max_files(),
        }
    }

    /// The buffer of HTTP/2, as hyper can bear it.
    pub(super) fn http2_buffer(&self) -> usize {
        self.buffer_size.min(u32::MAX as usize)
    }
}

/// `since` and `limit` later. A limit may be any duration, also one that an `Instant` cannot hold.
pub(super) fn after(since: Instant, limit: Duration) -> Instant {
    since + limit.min(LONGEST)
}

impl Default for Limits {
    fn default() -> Self {
        let descriptors = free(descriptors());
        let max_connections = default_connections(descriptors);
        Self {
            head_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(60),
            lingering_time: Duration::from_secs(30),
            request_body_rate: Some(StallPolicy::new(16 << 10, Duration::from_secs(30))),
            stall_policy: Some(StallPolicy::new(64 << 10, Duration::from_secs(30))),
            dead_peer_timeout: Some(Duration::from_secs(600)),
            max_connections,
            max_connections_per_address: (max_connections / 2).max(1),
            max_requests: MOST_CONNECTIONS,
            max_requests_per_address: MOST_CONNECTIONS / 2,
            max_requests_per_connection: 100,
            max_control_frames: 1000,
            max_head_size: 32 << 10,
            max_headers: 100,
            max_uri_length: 8 << 10,
            buffer_size: 64 << 10,
            shutdown_timeout: Duration::from_secs(30),
            descriptors,
        }
    }
}

/// The default number of connections: half of the descriptors, because each connection may also have a file open.
fn default_connections(descriptors: Option<usize>) -> usize {
    descriptors.map_or(MOST_CONNECTIONS, |free| share(free).min(MOST_CONNECTIONS))
}

/// The share of the connections, and of the files.
fn share(descriptors: usize) -> usize {
    (descriptors / 2).max(8)
}

/// The descriptors that no other use needs.
fn free(limit: Option<u64>) -> Option<usize> {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    limit.map(|limit| limit.saturating_sub(OTHER_DESCRIPTORS))
}

/// How many descriptors the process may have open (getrlimit(2)); `None` if there is no limit.
#[cfg(unix)]
fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn descriptors() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_duration_can_be_added() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(after(now, Duration::ZERO), now);
        assert_eq!(after(now, second), now + second);
        assert_eq!(after(now, Duration::MAX), now + LONGEST);
    }

    #[test]
    fn connections_and_their_files_fit_into_the_descriptors() {
        for (descriptors, connections, files) in [
            (None, MOST_CONNECTIONS, usize::MAX),
            (Some(1 << 20), MOST_CONNECTIONS, (1 << 20) - 32 - 10_000),
            (Some(1024), 496, 496),
            (Some(128), 48, 48),
            (Some(16), 8, 8),
        ] {
            let descriptors = free(descriptors);
            assert_eq!(default_connections(descriptors), connections);
            let limits = Limits {
                max_connections: connections,
                descriptors,
                ..Limits::default()
            };
            assert_eq!(limits.max_files(), files);
        }
    }

    #[test]
    fn an_address_may_have_half_of_the_files() {
        let limits = |max_connections, max_connections_per_address| Limits {
            max_connections,
            max_connections_per_address,
            descriptors: Some(100),
            ..Limits::default()
        };
        assert_eq!(limits(20, 10).max_files_per_address(), 40);
        assert_eq!(limits(20, 20).max_files_per_address(), 80, "behind a proxy");
        assert_eq!(limits(1000, 10).max_files_per_address(), 25);
    }
}
