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
mod monitored;
mod naive;
mod options;
mod read_loop;
mod server;
mod table;
mod way;
mod work;

use cell::Outcome;
use clap::Parser;
use options::Options;
use server::Server;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::sync::Mutex;
use way::Way;

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

/// Measures the cells with bulk writing one by one, as each keeps the machine busy, and the others, which
/// mostly wait, at the same time.
async fn measure(options: &Options) -> io::Result<BTreeMap<Way, Vec<Outcome>>> {
    let leaving = Arc::new(Mutex::new(()));
    let start = |way| {
        Server::ALL.map(|server| {
            let cell = cell::measure(way, server, options.clone(), leaving.clone());
            (way, cell)
        })
    };
    let mut rows: BTreeMap<Way, Vec<Outcome>> = BTreeMap::new();
    for (way, cell) in start(Way::FinBulk) {
        rows.entry(way).or_default().push(cell.await?);
    }
    let together = Way::ALL.into_iter().filter(|way| *way != Way::FinBulk);
    let cells: Vec<_> = together
        .flat_map(start)
        .map(|(way, cell)| (way, tokio::spawn(cell)))
        .collect();
    for (way, cell) in cells {
        rows.entry(way).or_default().push(cell.await??);
    }
    Ok(rows)
}
