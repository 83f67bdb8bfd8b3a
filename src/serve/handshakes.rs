//! The TLS handshakes of a server that are in progress: their number, and the report of those that fail.
//!
//! A handshake costs CPU time and memory before the client has proved anything. So handshakes have a limit of their
//! own. Clients that connect and stay silent displace each other. They do not displace connections that have completed
//! their handshake.

use crate::monitor::Monitor;
use crate::observe::call_foreign;
use crate::state::sync::{Mutex, lock};
use crate::tls::{FailedHandshake, HandshakeSettings, OnFailedHandshake};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The handshakes in progress.
pub(super) struct Handshakes {
    timeout: Duration,
    max: usize,
    failed: Option<Mutex<OnFailedHandshake>>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    /// By number: the oldest one comes first.
    monitors: BTreeMap<u64, Monitor>,
}

impl Handshakes {
    pub(super) fn new(settings: HandshakeSettings) -> Self {
        Self {
            timeout: settings.timeout,
            max: settings.max,
            failed: settings.failed.map(Mutex::new),
            table: Mutex::default(),
        }
    }

    /// Registers a handshake. At the limit the oldest one is aborted. A client that completes its handshake quickly is
    /// rarely the oldest.
    pub(super) fn begin(self: &Arc<Self>, monitor: Monitor) -> Place {
        let mut table = lock(&self.table);
        let oldest = match table.monitors.len() >= self.max {
            true => table.monitors.pop_first(),
            false => None,
        };
        let number = table.next;
        table.next += 1;
        table.monitors.insert(number, monitor);
        drop(table);
        if let Some((_, monitor)) = oldest {
            monitor.abort();
        }
        Place {
            handshakes: self.clone(),
            number,
        }
    }
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes")
            .field("timeout", &self.timeout)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

/// The entry of one handshake, until it has ended.
#[derive(Debug)]
pub(super) struct Place {
    handshakes: Arc<Handshakes>,
    number: u64,
}

impl Place {
    /// How long the handshake may take.
    pub(super) fn timeout(&self) -> Duration {
        self.handshakes.timeout
    }

    /// Reports a failed handshake to the program, and returns its error.
    pub(super) fn failed(
        &self,
        peer: SocketAddr,
        error: io::Error,
        monitor: &Monitor,
    ) -> io::Error {
        let Some(failed) = &self.handshakes.failed else {
            return error;
        };
        let kind = error.kind();
        let handshake = FailedHandshake::new(peer, error, monitor);
        // Foreign code, which may panic.
        call_foreign(|| lock(failed)(handshake));
        kind.into()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let removed = lock(&self.handshakes.table).monitors.remove(&self.number);
        drop(removed);
    }
}
