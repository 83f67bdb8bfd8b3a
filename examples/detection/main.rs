//! Who notices that the client has left, how soon, and what was produced for nobody till then.
//!
//! ```sh
//! cargo run --release --example detection
//! ```
//!
//! Lets clients leave in every way there is, each before three servers: a naive send loop, a watcher
//! that reads, and `hangup`. Prints what each of them learnt, side by side. Every figure is measured
//! in that very run, each "never" included.

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
use options::Options;
use server::Server;
use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::Mutex;
use way::Way;

#[tokio::main]
async fn main() -> ExitCode {
    let (error, status) = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => {
            let seconds = options.limit.as_secs() + 1;
            eprintln!("measuring for {seconds} seconds or so");
            match measure(&options).await {
                Ok(rows) => {
                    print!("{}", table::draw(&rows, &options));
                    return ExitCode::SUCCESS;
                }
                Err(error) => (error.to_string(), 1),
            }
        }
        Ok(None) => {
            println!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => (format!("{error}\nTry `detection --help`."), 2),
    };
    eprintln!("detection: {error}");
    ExitCode::from(status)
}

/// Under bulk writing one cell after the other is measured: each keeps the machine busy. The rest
/// do little but wait, and wait at the same time.
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
