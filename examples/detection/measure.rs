//! All cells of the table.

use super::cell::{self, Outcome};
use super::options::Options;
use super::server::Server;
use super::way::Way;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Measures the cells with bulk writing one by one, as each keeps the machine busy, and the others, which
/// mostly wait, at the same time.
pub(crate) async fn measure(options: &Options) -> io::Result<BTreeMap<Way, Vec<Outcome>>> {
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
