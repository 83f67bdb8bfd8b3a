//! The command line.

use clap::{Parser, ValueEnum};
use std::time::Duration;

/// Sends a robot's reports over a link that is cut again and again, and loses none that matters.
///
/// A proxy of this program stands between the robot and its base station. It cuts the link with a FIN, with a
/// reset, or by passing nothing on for up to 0.4 s. What it had taken from the robot by then is gone, except
/// with --confirm acknowledged, where it is handed to the base station first: the robot's system has been told
/// that it arrived.
///
/// Every tenth report is an important event: the outbox keeps it until it is confirmed, and sends it again after a
/// reconnect. The others are telemetry: sent at most once, and dropped if they are not written within 0.25 s.
///
/// Standard error shows the state of the link, standard output gets the summary that the base station counted.
/// Ctrl-C or SIGTERM stops the sending, and waits up to 5 s for what is queued; a second signal does not wait.
/// The exit status is 0 if no event was lost.
#[derive(Parser, Clone, Copy)]
pub(crate) struct Options {
    /// How many reports to send
    #[arg(long, value_name = "N", default_value_t = 2000,
          value_parser = clap::value_parser!(u64).range(10..=1_000_000_000))]
    pub(crate) messages: u64,
    /// How long the sending takes
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Cut the link at most this often
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub(crate) cuts: u64,
    /// What decides where and how the link is cut; the same number repeats the same cuts
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// What counts as the confirmation of an event
    #[arg(long, value_name = "HOW", default_value = "peer")]
    pub(crate) confirm: Confirmed,
}

impl Options {
    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What confirms a message.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Confirmed {
    /// The base station's reply
    #[value(name = "peer")]
    ByPeer,
    /// The acknowledgement of the base station's TCP
    #[cfg(target_os = "linux")]
    Acknowledged,
}
