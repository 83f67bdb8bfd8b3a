//! The command line.

use clap::Parser;
use std::time::Duration;

/// Runs random streams, HTTP clients and outboxes at the same time, and fails at the first breach of a promise.
///
/// Each stream has a random kind, role, configuration and way of ending. The clients leave a server of files and endless
/// responses in all ways. The outboxes send through connections that their peer closes and resets.
///
/// A line a second shows what was done in it, and what is in use. The exit status is not 0 if a wrong reason is reported,
/// something is not woken, a byte is wrong, a count of the server is wrong, a message is lost, comes out of order or is
/// more than an outbox may hold, or if descriptors or memory have grown at the end.
#[derive(Parser, Clone, Copy)]
pub(crate) struct Options {
    /// How many minutes it goes on starting streams, clients and outboxes
    #[arg(long, value_name = "N", default_value = "1", value_parser = minutes)]
    pub(crate) minutes: Duration,
    /// What the choices are drawn from. The order of events is the scheduler's, so a seed repeats the choices alone
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many streams there are at a time
    #[arg(long, value_name = "N", default_value_t = 48,
          value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) streams: u64,
    /// How many HTTP clients there are at a time
    #[arg(long, value_name = "N", default_value_t = 12,
          value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) clients: u64,
    /// How many outboxes there are at a time
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) outboxes: u64,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "write a number".to_owned())?;
    Duration::try_from_secs_f64(minutes * 60.0).map_err(|error| error.to_string())
}
