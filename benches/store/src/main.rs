//! Messages a second that a store keeps, beside SQLite with the same promise.
//!
//! ```sh
//! cargo run --release --manifest-path benches/store/Cargo.toml -- /var/tmp
//! ```
//!
//! The stores take turns in short rounds, because the speed of a disk changes from second to second. A
//! ratio is the median of those of a round. The argument is the directory of the files: a file system in memory has
//! nothing to wait for. A second argument, `Each` or `Never`, and a third one, the number of senders, choose one line.

mod database;
mod race;
mod sqlite;

use hangup::outbox::Fsync;
use race::{MESSAGE, Result, STORES, run};
use std::fs;
use std::path::{Path, PathBuf};

const ROUNDS: usize = 41;

fn main() -> Result<()> {
    let directory = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = directory.join(format!("hangup-bench-store-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let measured = measure(&directory);
    fs::remove_dir_all(&directory)?;
    measured
}

fn measure(directory: &Path) -> Result<()> {
    println!(
        "messages of {MESSAGE} bytes a second, bytes written for each, and CPU time of the thread that commits"
    );
    let mut chosen = std::env::args().skip(2);
    let (fsyncs, senders) = (chosen.next(), chosen.next());
    for fsync in [Fsync::Each, Fsync::Never] {
        if fsyncs
            .as_ref()
            .is_some_and(|chosen| *chosen != format!("{fsync:?}"))
        {
            continue;
        }
        for senders in senders_of(senders.as_deref())? {
            let mut rounds = STORES.map(|_| Vec::new());
            for round in 0..ROUNDS {
                for ((name, open), results) in STORES.iter().zip(&mut rounds) {
                    let path = directory.join(format!("{name}-{round}"));
                    results.push(run(open(&path, fsync)?, senders)?);
                    fs::remove_file(path)?;
                }
            }
            print!("{fsync:?}, {senders:>3} senders:");
            for ((name, _), results) in STORES.iter().zip(&rounds) {
                let rate = median(results.iter().map(|result| result.rate));
                let written = median(results.iter().map(|result| result.written));
                let ours = rounds[0].iter().zip(results);
                let ratio = median(ours.map(|(ours, theirs)| ours.rate / theirs.rate));
                let cpu = median(results.iter().map(|result| result.cpu));
                print!(" {name} {rate:.0}/s {written:.0} B {cpu:.1} µs, ours {ratio:.2} of it;");
            }
            println!();
        }
    }
    Ok(())
}

fn senders_of(chosen: Option<&str>) -> Result<Vec<usize>> {
    match chosen {
        Some(chosen) => Ok(vec![chosen.parse()?]),
        None => Ok(vec![1, 10, 100]),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
