//! What the connections of one listener inherit from it: their kind, and their socket options.
//!
//! On Linux a connection is a copy of its listener, made when its handshake is complete (`tcp_create_openreq_child` in
//! net/ipv4/tcp_minisocks.c), with the options of that moment. So the options of the configuration are set once, on the
//! listener, in the place of up to seven system calls for each connection. Connections that were complete before wait in the
//! listener's queue. They are accepted first, and get the options one by one. So does every connection of the first second,
//! because another processor may be making the copy while the options are set, and may put it into the queue later.
//!
//! Only a listener that [`MonitoredListener::bind`](super::MonitoredListener::bind) has created is changed. Another one may
//! have a duplicate, in this process or in another one, whose connections are to have other options.

use crate::policy::MonitorConfig;
use crate::watcher::Known;
use rustix::fd::AsFd;
use socket2::SockRef;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// What the connections of a listener inherit.
#[derive(Debug)]
pub(super) struct Inherited {
    known: Known,
    /// How many connections may have been complete before the listener had the options; `None` if it does not have them.
    earlier: Option<u64>,
    /// How many connections were accepted since then.
    accepted: AtomicU64,
    began: Instant,
}

/// A copy that was begun before is in the queue by then: it is made by one turn of a processor.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// How many connections had been accepted before a call that accepts one, unless it is too early to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn(Option<u64>);

impl Inherited {
    /// Before the first connection is accepted. Sets the options on the listener if it `is_ours`.
    pub(super) fn new(
        listener: &TcpListener,
        is_ours: bool,
        config: &MonitorConfig,
        nodelay: Option<bool>,
    ) -> Self {
        // An error is reported for each connection.
        let is_set = is_ours
            && cfg!(any(target_os = "linux", target_os = "android"))
            && set(listener, config, nodelay).is_ok();
        // In this order: what is complete after the options were set has them.
        let (known, waiting) = Known::accepted(listener.as_fd());
        Self {
            known,
            earlier: waiting.filter(|_| is_set),
            accepted: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    /// Before a connection is accepted.
    pub(super) fn turn(&self) -> Turn {
        let is_settled = self.earlier.is_some() && self.began.elapsed() > SETTLED_AFTER;
        Turn(is_settled.then(|| self.accepted.load(Acquire)))
    }

    /// What is known about the connection that was accepted after `turn`.
    ///
    /// Connections are accepted in the order in which they were completed. Those that were counted at the turn came before
    /// this one, and others may have too.
    pub(super) fn known(&self, turn: Turn) -> Known {
        self.accepted.fetch_add(1, AcqRel);
        match (turn.0, self.earlier) {
            (Some(before), Some(earlier)) if before >= earlier => self.known.configured(),
            _ => self.known,
        }
    }

    /// Takes the options back, before the listener gets another configuration or another owner.
    pub(super) fn undo(self, listener: &TcpListener) {
        if self.earlier.is_some() {
            // What could be set can be reset.
            let _ = reset(&SockRef::from(listener));
        }
    }
}

/// Sets the options of the connections on their listener.
fn set(listener: &TcpListener, config: &MonitorConfig, nodelay: Option<bool>) -> io::Result<()> {
    if let Some(timers) = config.timers()? {
        timers.arm(listener.as_fd())?;
    }
    config.limit_unsent(listener.as_fd())?;
    match nodelay {
        Some(nodelay) => SockRef::from(listener).set_tcp_nodelay(nodelay),
        None => Ok(()),
    }
}

/// Sets the system's defaults.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn reset(listener: &SockRef<'_>) -> io::Result<()> {
    listener.set_keepalive(false)?;
    listener.set_tcp_user_timeout(None)?;
    // Zero stands for the sysctl (`tcp_notsent_lowat` in include/net/tcp.h).
    listener.set_tcp_notsent_lowat(0)?;
    listener.set_tcp_nodelay(false)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn reset(_: &SockRef<'_>) -> io::Result<()> {
    Ok(())
}
