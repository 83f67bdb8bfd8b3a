//! What a server tells at its end.

use super::LimitReason;
use std::fmt;

/// How the connections that were open at the shutdown ended: by themselves, or aborted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drained {
    pub(super) finished: usize,
    pub(super) aborted: usize,
}

/// What a [`Server`](super::Server) has done, and how its shutdown went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    connections: u64,
    finished: usize,
    aborted: usize,
    limits: Vec<(LimitReason, u64)>,
}

impl Summary {
    pub(super) fn new(connections: u64, drained: Drained, limits: Vec<(LimitReason, u64)>) -> Self {
        Self {
            connections,
            finished: drained.finished,
            aborted: drained.aborted,
            limits,
        }
    }

    /// How many connections were served.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// How many connections were open when the shutdown began, and ended by themselves.
    pub fn finished(&self) -> usize {
        self.finished
    }

    /// How many connections were open when the shutdown began, and were aborted.
    pub fn aborted(&self) -> usize {
        self.aborted
    }

    /// How often each limit was used, in the order of their names. Those that were not are not there.
    pub fn limits(&self) -> &[(LimitReason, u64)] {
        &self.limits
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections served; at the shutdown {} finished, {} aborted",
            self.connections, self.finished, self.aborted
        )?;
        for (reason, count) in &self.limits {
            write!(f, "; {}: {count}", reason.name())?;
        }
        Ok(())
    }
}
