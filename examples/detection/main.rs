//! How soon a server's handler notices that its client has left, and how much it produces until then.
//!
//! ```sh
//! cargo run --release --example detection
//! ```
//!
//! Clients leave in six ways, and in a seventh they stay and do not read. Each way is tried with three servers: a loop that
//! only sends, a loop that also reads, and `hangup`. Every figure of the table is measured in the same run, each "never"
//! included.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "../program/print.rs"]
mod print;

mod cell;
mod measure;
mod monitored;
mod naive;
mod options;
mod read_loop;
mod server;
mod table;
mod way;
mod work;

use clap::Parser;
use measure::measure;
use options::Options;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    note!(
        "measuring for about {} seconds",
        options.limit().as_secs() + 1
    );
    let rows = measure(&options).await?;
    say!("{}", table::draw(&rows, &options).trim_end());
    Ok(())
}
