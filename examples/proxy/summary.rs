//! What there was, in all.

use crate::connection::{Report, Side};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Default)]
pub(crate) struct Summary {
    connections: u64,
    unserved: u64,
    client: Sums,
    server: Sums,
}

/// The sums of one side.
#[derive(Default)]
struct Sums {
    read: u64,
    accepted: u64,
    acknowledged: u64,
    reasons: BTreeMap<&'static str, u64>,
}

impl Summary {
    pub(crate) fn add(&mut self, report: Report) {
        self.connections += 1;
        match report.outcome {
            Ok((client, server)) => {
                self.client.add(&client);
                self.server.add(&server);
            }
            Err(_) => self.unserved += 1,
        }
    }
}

impl Sums {
    fn add(&mut self, side: &Side) {
        self.read += side.transfer.read;
        self.accepted += side.transfer.accepted;
        self.acknowledged += side.transfer.acknowledged.unwrap_or(0);
        let reason = side
            .reason
            .as_ref()
            .map_or("ended_by_proxy", |reason| reason.name());
        *self.reasons.entry(reason).or_default() += 1;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "in all: {} connections, {} without a server\nclients: {}\nservers: {}",
            self.connections, self.unserved, self.client, self.server
        )
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes from them, {} accepted, {} acknowledged",
            self.read, self.accepted, self.acknowledged
        )?;
        for (reason, count) in &self.reasons {
            write!(f, ", {reason} {count}")?;
        }
        Ok(())
    }
}
