//! The command line.

use clap::Parser;
use std::net::SocketAddr;
use std::sync::Arc;

/// Passes TCP connections on, and ends both sides when either hangs up.
///
/// What a side sent before it left is still delivered to the other one. A side that takes less than 64 KiB in a minute,
/// while there is more for it, is reset.
///
/// Prints one line for each connection at its end: for the client and for the server how many bytes came from it, how
/// many its socket accepted, how many of those its system acknowledged, and why it closed.
///
/// Ctrl-C or SIGTERM ends the proxy: running connections go on for up to --drain seconds, or until a second signal.
#[derive(Parser, Clone)]
pub(crate) struct Options {
    /// The address to listen on, for example 127.0.0.1:8080; port 0 takes a free one
    pub(crate) listen: SocketAddr,
    /// The server's address, for example 127.0.0.1:80 or example.org:80
    pub(crate) target: Arc<str>,
    /// Pass a FIN on as a half-close, and go on in the other direction, until it stands still for ten minutes
    #[arg(long)]
    pub(crate) half_close: bool,
    /// How many connections may be open at the same time; others wait
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
    /// After a signal, let the open connections go on for up to this time, and then reset them
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) drain: u64,
    /// Show the connections on a page at this address, which has counters for Prometheus too
    #[arg(long, value_name = "ADDR")]
    pub(crate) dashboard: Option<SocketAddr>,
    /// Print the close of each stream on standard error (build with --features tracing)
    #[arg(long)]
    pub(crate) trace: bool,
}
