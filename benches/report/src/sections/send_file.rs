//! `send_file` beside loops that read and write.

#[path = "../../../send_file/turns.rs"]
mod turns;

use crate::Result;
use crate::section::Measured;
use crate::spread::Spread;
use turns::{NAMES, Turns};

const LENGTH: u64 = 256 << 20;
const ROUNDS: usize = 7;

pub(crate) fn measure() -> Result<Measured> {
    let turns = Turns::run(LENGTH, ROUNDS)?;
    let mut measured = Measured::default();
    measured.paragraph(format_args!(
        "A file of {} MiB in the page cache, to a peer on loopback that throws away what it reads. {ROUNDS} turns of each way.\n\
         The processor's time includes the peer's.",
        LENGTH >> 20
    ));
    let mut rows = Vec::new();
    for (way, name) in NAMES.into_iter().enumerate() {
        let speed = Spread::of(turns.speed_ratios(way));
        let cpu = Spread::of(turns.cpu_ratios(way));
        if name == "send_file" {
            measured.spread("throughput", speed, 1);
            measured.spread("cpu", cpu, 1);
        }
        rows.push([
            name.to_owned(),
            format!("{:.0}", Spread::of(turns.megabytes_per_second(way)).median),
            format!("{speed:.2}"),
            format!("{cpu:.2}"),
        ]);
    }
    measured.table(
        [
            "",
            "MB/s",
            "throughput, of the first",
            "processor's time, of the first",
        ],
        rows,
    );
    Ok(measured)
}
