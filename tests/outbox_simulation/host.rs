//! The peer's host, where its TCP confirms: it acknowledges what has arrived. Whether the program reads that is another
//! matter.

use crate::checks::Checks;
use crate::message::parse;
use hangup::test_util::Remote;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::sleep;

pub(crate) struct Host {
    checks: Checks,
    connection: u64,
    /// The beginning of a line.
    partial: Vec<u8>,
    arrived: u64,
    acknowledging: Acknowledging,
    /// How long an acknowledgement is on its way.
    latency: Duration,
}

/// The way back to the sender.
#[derive(Clone, Default)]
pub(crate) struct Acknowledging {
    /// The sender's end, once there is one.
    pub(crate) remote: Arc<OnceLock<Remote>>,
    /// What is on its way is lost.
    lost: Arc<AtomicBool>,
    /// Whether the break of the connection loses it.
    can_lose: bool,
}

impl Acknowledging {
    pub(crate) fn new(can_lose: bool) -> Self {
        Self {
            can_lose,
            ..Self::default()
        }
    }

    /// The sender's system hears that so many bytes have arrived.
    fn tell(&self, arrived: u64, checks: &Checks, ids: &[u64]) {
        if self.lost.load(Ordering::Relaxed) {
            return;
        }
        if let Some(remote) = self.remote.get() {
            remote.acknowledge(arrived);
            checks.acknowledged(ids);
        }
    }
}

impl Host {
    pub(crate) fn new(
        checks: Checks,
        connection: u64,
        acknowledging: Acknowledging,
        latency: Duration,
    ) -> Self {
        Self {
            checks,
            connection,
            partial: Vec::new(),
            arrived: 0,
            acknowledging,
            latency,
        }
    }

    /// Bytes have arrived.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.arrived += bytes.len() as u64;
        self.partial.extend_from_slice(bytes);
        let mut ids = Vec::new();
        while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
            let rest = self.partial.split_off(end + 1);
            let line = std::mem::replace(&mut self.partial, rest);
            let line = std::str::from_utf8(&line[..end]).unwrap();
            // A greeting is no message.
            if let Some((number, note)) = parse(line) {
                self.checks.process(self.connection, number, note, false);
                ids.push(note.id);
            }
        }
        let (acknowledging, arrived) = (self.acknowledging.clone(), self.arrived);
        if self.latency.is_zero() {
            return acknowledging.tell(arrived, &self.checks, &ids);
        }
        let (checks, latency) = (self.checks.clone(), self.latency);
        tokio::spawn(async move {
            sleep(latency).await;
            acknowledging.tell(arrived, &checks, &ids);
        });
    }

    /// The connection breaks.
    pub(crate) fn cut(&self) {
        if self.acknowledging.can_lose {
            self.acknowledging.lost.store(true, Ordering::Relaxed);
        }
    }
}
