//! The table of the example `detection`, several times.

#[path = "../../../../examples/detection/cell.rs"]
#[expect(dead_code, reason = "what a handler produced is told by the example")]
mod cell;
#[path = "../../../../examples/detection/measure.rs"]
#[allow(clippy::module_inception, reason = "the file of the example")]
mod measure;
#[path = "../../../../examples/detection/monitored.rs"]
mod monitored;
#[path = "../../../../examples/detection/naive.rs"]
mod naive;
#[path = "../../../../examples/detection/options.rs"]
mod options;
#[path = "../../../../examples/detection/read_loop.rs"]
mod read_loop;
#[path = "../../../../examples/detection/server.rs"]
#[expect(dead_code, reason = "the example names the servers")]
mod server;
#[path = "../../../../examples/detection/way.rs"]
mod way;
#[path = "../../../../examples/detection/work.rs"]
mod work;

use crate::Result;
use crate::section::Measured;
use crate::spread::Spread;
use crate::turns::turns;
use clap::Parser;
use options::Options;
use server::Server;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::runtime::Builder;
use way::Way;

const ROUNDS: usize = 7;
const LIMIT: Duration = Duration::from_secs(40);

/// The names of the figures, in the order of the servers.
const SERVERS: [&str; Server::ALL.len()] = ["naive", "read-loop", "hangup"];

pub(crate) fn measure() -> Result<Measured> {
    let options = Options::parse_from(["report"]);
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    // Milliseconds, of those that knew in time.
    let mut known: BTreeMap<Way, [Vec<f64>; Server::ALL.len()]> = BTreeMap::new();
    let mut rounds = 0;
    for _ in turns(ROUNDS, LIMIT) {
        rounds += 1;
        for (way, outcomes) in runtime.block_on(measure::measure(&options))? {
            let cells = known.entry(way).or_default();
            for (cell, outcome) in cells.iter_mut().zip(&outcomes) {
                cell.extend(
                    outcome
                        .known
                        .iter()
                        .map(|(time, _)| time.as_secs_f64() * 1e3),
                );
            }
        }
    }
    let mut measured = Measured::default();
    measured.paragraph(format_args!(
        "The time from the client's leaving until the handler knows, in milliseconds, the median of {rounds} rounds.\n\
         \"Never\" means not within 4 s in any round. The last row is a client that stays connected and does not read; a\n\
         stall policy of 1 s ends it. The naive loop only sends, and the read loop reads one byte ahead, as hyper does."
    ));
    let mut rows = Vec::new();
    for (way, cells) in &known {
        let mut row = vec![way.name().to_owned()];
        for (server, times) in SERVERS.into_iter().zip(cells) {
            let name = format!("{}.{server}", slug(way.name()));
            if times.len() <= rounds / 2 {
                let text = match times.len() {
                    0 => "never".to_owned(),
                    some => format!("never, but for {some} of {rounds}"),
                };
                measured.figure(name, &text);
                row.push(text);
                continue;
            }
            let spread = Spread::of(times.iter().copied());
            let places = if spread.median < 100.0 { 2 } else { 0 };
            measured.spread(&name, spread, places);
            row.push(format!("{spread:.places$}"));
        }
        let row: [String; 4] = row.try_into().map_err(|_| "a cell is missing")?;
        rows.push(row);
    }
    measured.table(
        ["way of leaving", "naive send loop", "read loop", "`hangup`"],
        rows,
    );
    Ok(measured)
}

/// `FIN, handler idle` as `fin-handler-idle`.
fn slug(name: &str) -> String {
    let parts = name.split(|character: char| !character.is_alphanumeric());
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("-").to_lowercase()
}
