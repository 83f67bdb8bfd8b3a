//! The store beside SQLite.

#[path = "../../../store/src/database.rs"]
mod database;
#[path = "../../../store/src/race.rs"]
mod race;
#[path = "../../../store/src/sqlite.rs"]
mod sqlite;

use crate::Result;
use crate::plot::ratios;
use crate::section::Measured;
use crate::spread::Spread;
use hangup::outbox::Fsync;
use race::{MESSAGE, STORES, run};
use std::fs;
use std::path::Path;

const ROUNDS: usize = 9;

pub(crate) fn measure() -> Result<Measured> {
    // Not in a file system in memory, which has nothing to wait for.
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let directory = directory.join(format!("hangup-report-store-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let measured = in_directory(&directory);
    fs::remove_dir_all(&directory)?;
    measured
}

fn in_directory(directory: &Path) -> Result<Measured> {
    let mut measured = Measured::default();
    measured.paragraph(format_args!(
        "Messages of {MESSAGE} bytes a second that are kept, by so many senders that wait for theirs; {ROUNDS} turns of 0.3 s.\n\
         The promise is the same: with `Each` every commit is on the disk (SQLite: WAL, `synchronous=FULL`), with `Never` the\n\
         system writes when it likes (`OFF`). redb is the store's database without what the store adds."
    ));
    let mut rows = Vec::new();
    let mut drawn = Vec::new();
    for fsync in [Fsync::Each, Fsync::Never] {
        for senders in [1, 10, 100] {
            let mut rates = STORES.map(|_| Vec::new());
            for round in 0..ROUNDS {
                for ((name, open), rates) in STORES.iter().zip(&mut rates) {
                    let path = directory.join(format!("{name}-{round}"));
                    rates.push(run(open(&path, fsync)?, senders)?.rate);
                    fs::remove_file(path)?;
                }
            }
            let [ours, redb, sqlite] = &rates;
            let ratio = Spread::of_ratios(ours, sqlite);
            let median = |rates: &[f64]| format!("{:.0}", Spread::of(rates.iter().copied()).median);
            let kind = format!("{fsync:?}");
            measured.spread(&format!("{}.{senders}", kind.to_lowercase()), ratio, 2);
            drawn.push((format!("{kind}, senders: {senders}"), ratio));
            rows.push([
                format!("`{kind}`"),
                senders.to_string(),
                median(ours),
                median(redb),
                median(sqlite),
                format!("{ratio:.2}"),
            ]);
        }
    }
    measured.table(
        [
            "",
            "senders",
            "hangup",
            "redb",
            "SQLite",
            "hangup, of SQLite's",
        ],
        rows,
    );
    measured.plot(
        "store",
        "What the store has of SQLite's rate",
        ratios("the store, of SQLite's rate (1: the same)", &drawn)?,
    );
    Ok(measured)
}
