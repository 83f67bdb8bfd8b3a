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
//!
//! Before the listener gets another configuration, it gets its own options back. A connection that was complete before has
//! those of the earlier configuration, so it gets the listener's own options too, before those of the new configuration.

use super::listener_options::ListenerOptions;
use crate::policy::MonitorConfig;
use crate::state::AtomicU64;
use crate::watcher::Known;
use rustix::fd::AsFd;
use socket2::SockRef;
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

/// What the connections of a listener inherit.
#[derive(Debug)]
pub(super) struct Inherited {
    known: Known,
    /// The listener's own options; `None` if it was not changed.
    own: Option<ListenerOptions>,
    /// The listener's own options, if it had the options of an earlier configuration.
    lost: Option<ListenerOptions>,
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
    ///
    /// `lost`: what [`undo`](Self::undo) returned, if the listener has had another configuration.
    pub(super) fn new(
        listener: &TcpListener,
        is_ours: bool,
        lost: Option<ListenerOptions>,
        config: &MonitorConfig,
        nodelay: Option<bool>,
    ) -> Self {
        let (known, waiting) = Known::accepted(listener.as_fd());
        let own = waiting.filter(|_| is_ours);
        let own = own.and_then(|_| ListenerOptions::of(listener));
        // An error is reported for each connection.
        let is_set = own.is_some() && set(listener, config, nodelay).is_ok();
        // In this order: what is complete after the options were set has them.
        let earlier = is_set.then(|| Known::accepted(listener.as_fd()).1);
        Self {
            known,
            own,
            lost,
            earlier: earlier.flatten(),
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

    /// Takes the options of an earlier configuration from a connection that is not configured.
    pub(super) fn prepare(&self, connection: &TcpStream) -> io::Result<()> {
        match &self.lost {
            Some(own) => own.restore(&SockRef::from(connection)),
            None => Ok(()),
        }
    }

    /// Gives the listener its own options back, before it gets another configuration or another owner. Returns them, if
    /// connections may be waiting that have others.
    pub(super) fn undo(self, listener: &TcpListener) -> Option<ListenerOptions> {
        if let Some(own) = &self.own {
            // What could be set can be set again.
            let _ = own.restore(&SockRef::from(listener));
        }
        self.own.or(self.lost)
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
