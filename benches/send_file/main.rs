//! `send_file` beside a loop that reads the file and writes it.
//!
//! `cargo bench --bench send_file`. Without `--bench` (as `cargo test --benches` runs it) a short run
//! shows that it works; its figures mean nothing.

mod turns;

use std::{env, io, thread};
use turns::{NAMES, Turns};

fn main() -> io::Result<()> {
    let thorough = env::args().any(|argument| argument == "--bench");
    let (length, rounds) = match thorough {
        true => (256 << 20, 15),
        false => (1 << 20, 1),
    };
    println!("{} cores", thread::available_parallelism()?);
    if !thorough {
        println!("a short run, too short to measure: `cargo bench --bench send_file` does");
    }
    let turns = Turns::run(length, rounds)?;
    println!(
        "\n{} MiB to a peer on loopback    MB/s   of the read loop's    CPU, peer's included, of the read loop's",
        length >> 20
    );
    for (way, name) in NAMES.into_iter().enumerate() {
        let [speed, ratio, cost] = [
            turns.megabytes_per_second(way),
            turns.speed_ratios(way),
            turns.cpu_ratios(way),
        ]
        .map(median);
        println!("{name:<34} {speed:>8.0} {ratio:>10.2} {cost:>24.2}");
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
