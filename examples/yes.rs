//! `yes`, which stops as soon as nobody reads it, and says how much was read.
//!
//! ```sh
//! cargo run --release --example yes | head -3
//! ```
//!
//! The standard output must be a pipe or a FIFO.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "program/print.rs"]
mod print;

use clap::Parser;
use hangup::MonitoredStream;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

/// Repeats a line until the reader of the standard output leaves, and says how much the reader took.
#[derive(Parser)]
#[command(name = "yes")]
struct Options {
    /// The line to repeat
    #[arg(default_value = "y")]
    line: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note!("yes: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> io::Result<()> {
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    let output = pipe::Sender::from_owned_fd(output).map_err(|error| {
        let what = format!("the standard output is no pipe ({error}): try `yes | head -3`");
        io::Error::new(error.kind(), what)
    })?;
    let mut stream = MonitoredStream::new(output)?;
    let block = format!("{}\n", options.line).repeat(1024);
    // A write fails as soon as the last reader has left, also one that is blocked.
    while stream.write_all(block.as_bytes()).await.is_ok() {}
    let transfer = stream.monitor().transfer();
    let reason = stream.closed().await;
    note!(
        "yes: {reason}: {} bytes written, of which {} were read",
        transfer.accepted,
        transfer.acknowledged.unwrap_or(0),
    );
    Ok(())
}
