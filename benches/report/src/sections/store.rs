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
use race::{MESSAGE, Round, STORES, run};
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
         system writes when it likes (`OFF`). redb is the store's database without what the store adds. Bytes written, and\n\
         microseconds of the processor in the thread that calls the store, are those of a message: hangup's, then SQLite's."
    ));
    let mut rows = Vec::new();
    let mut drawn = Vec::new();
    for fsync in [Fsync::Each, Fsync::Never] {
        for senders in [1, 10, 100] {
            let mut rounds = STORES.map(|_| Vec::<Round>::new());
            for round in 0..ROUNDS {
                for ((name, open), rounds) in STORES.iter().zip(&mut rounds) {
                    let path = directory.join(format!("{name}-{round}"));
                    rounds.push(run(open(&path, fsync)?, senders)?);
                    fs::remove_file(path)?;
                }
            }
            let all = |figure: fn(&Round) -> f64| {
                rounds
                    .each_ref()
                    .map(|rounds| rounds.iter().map(figure).collect::<Vec<_>>())
            };
            let [ours, redb, sqlite] = &all(|round| round.rate);
            let ratio = Spread::of_ratios(ours, sqlite);
            let median = |rates: &[f64]| format!("{:.0}", Spread::of(rates.iter().copied()).median);
            let both = |[ours, _, sqlite]: [Vec<f64>; 3]| {
                format!("{}, {}", median(&ours), median(&sqlite))
            };
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
                both(all(|round| round.written)),
                both(all(|round| round.cpu)),
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
            "bytes written",
            "CPU µs",
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
