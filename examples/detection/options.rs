//! The command line.

use clap::Parser;
use std::time::Duration;

/// Has clients leave a server in seven ways, and measures how soon its handler notices.
///
/// Each way is tried with three servers: a loop that only sends, a loop that also reads to find the end, and
/// `hangup`. Each cell of the table has two lines: the milliseconds from the client's leaving to the handler's
/// knowing, and the bytes produced in that time; then the reason that the handler got. "never" means not within
/// --limit seconds.
#[derive(Parser, Clone)]
pub(crate) struct Options {
    /// How long to wait before it is called "never"
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
