//! The command line.

use clap::Parser;
use std::time::Duration;

/// Measures how soon a server's handler notices that its client has left, in six ways, or does not read.
///
/// Each way is tried with three servers: a loop that only sends, a loop that also reads to find the end, and
/// `hangup`. Each cell of the table has two lines. The first one has the milliseconds until the handler knows, and the
/// bytes that it produced in that time; the second one has the reason that the handler got. "never" means not within
/// --limit seconds.
#[derive(Parser, Clone)]
pub(crate) struct Options {
    /// Show "never" after this time
    #[arg(long, value_name = "SECONDS", default_value_t = 4,
          value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// How many bytes the reading loop may read ahead before it has to stop; hyper stops at the first
    #[arg(long, value_name = "BYTES", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    read_ahead: u32,
}

impl Options {
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.limit)
    }

    pub(crate) fn read_ahead(&self) -> usize {
        self.read_ahead as usize
    }
}
