//! The throughput of `hangup::copy_bidirectional` beside that of tokio's.
//!
//! `cargo bench --bench copy`. Without `--bench` (as `cargo test --benches` runs it) a short run shows that
//! it works; its figures mean nothing.
//!
//! A thread sends through the copy to another thread, over loopback, and says with a FIN that this was all;
//! the other one answers as much. tokio's copy and ours take turns, always tokio's, ours, tokio's, and ours
//! is compared with its two neighbours only: what slows the machine down slows all three.

use hangup::{HalfClose, MonitorConfig, MonitoredStream};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;
use tokio::runtime::Builder;

/// How much goes each way in a turn of a thorough run, and how many rounds there are.
const THOROUGH: (usize, usize) = (256 << 20, 15);
const SHORT: (usize, usize) = (1 << 20, 1);

/// tokio's default buffer, ours, and a large one.
const SIZES: [usize; 3] = [8 * 1024, 16 * 1024, 64 * 1024];

/// The one of ours that is compared with tokio's default one: who copies takes the default.
const DEFAULTS: (usize, usize) = (SIZES[0], SIZES[1]);

#[derive(Clone, Copy)]
enum Copy {
    Tokio,
    Ours,
}

fn main() -> Result<(), Box<dyn Error>> {
    let thorough = std::env::args().any(|argument| argument == "--bench");
    let (bytes, rounds) = if thorough { THOROUGH } else { SHORT };
    println!("{} cores", thread::available_parallelism()?);
    println!(
        "{:<24} {:>10} {:>10} {:>24} {:>24}",
        "", "tokio", "hangup", "hangup / tokio", "tokio / tokio"
    );
    println!(
        "{:<24} {:>10} {:>10} {:>24} {:>24}",
        "buffers, KiB", "MB/s", "MB/s", "p25 / p50 / p75", "p25 / p50 / p75"
    );
    let same = SIZES.map(|size| (size, size));
    for (tokio, ours) in same.into_iter().chain([DEFAULTS]) {
        let mut ratios = Vec::new();
        let mut noise = Vec::new();
        let mut rates = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let before = rate(Copy::Tokio, tokio, bytes)?;
            let monitored = rate(Copy::Ours, ours, bytes)?;
            let after = rate(Copy::Tokio, tokio, bytes)?;
            ratios.push(monitored * 2.0 / (before + after));
            noise.push(after / before);
            rates.0.push((before + after) / 2.0);
            rates.1.push(monitored);
        }
        println!(
            "{:<24} {:>10.0} {:>10.0} {:>24} {:>24}",
            format!("{} and {}", tokio / 1024, ours / 1024),
            quartiles(&mut rates.0)[1],
            quartiles(&mut rates.1)[1],
            told(&mut ratios),
            told(&mut noise),
        );
    }
    Ok(())
}

fn told(ratios: &mut [f64]) -> String {
    let [low, median, high] = quartiles(ratios);
    format!("{low:.3} / {median:.3} / {high:.3}")
}

fn quartiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

/// Megabytes a second, both ways together.
fn rate(copy: Copy, buffer: usize, bytes: usize) -> io::Result<f64> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let ((a, client), (b, server)) = (pair()?, pair()?);
    let began = Instant::now();
    let client = thread::spawn(move || give_then_take(client, bytes));
    let server = thread::spawn(move || take_then_give(server, bytes));
    runtime.block_on(async {
        match copy {
            Copy::Tokio => {
                let (mut a, mut b) = (a, b);
                tokio::io::copy_bidirectional_with_sizes(&mut a, &mut b, buffer, buffer).await?;
            }
            Copy::Ours => {
                let config = MonitorConfig::new().half_close(HalfClose::Allow);
                let mut a = MonitoredStream::with_config(a, &config)?;
                let mut b = MonitoredStream::with_config(b, &config)?;
                hangup::copy_bidirectional_with_sizes(&mut a, &mut b, buffer, buffer).await;
            }
        }
        io::Result::Ok(())
    })?;
    client.join().expect("the client does not panic")?;
    server.join().expect("the server does not panic")?;
    Ok(2.0 * bytes as f64 / 1e6 / began.elapsed().as_secs_f64())
}

fn pair() -> io::Result<(tokio::net::TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = TcpStream::connect(listener.local_addr()?)?;
    let (ours, _) = listener.accept()?;
    ours.set_nonblocking(true)?;
    Ok((tokio::net::TcpStream::from_std(ours)?, peer))
}

fn give_then_take(mut peer: TcpStream, bytes: usize) -> io::Result<()> {
    give(&mut peer, bytes)?;
    take(&mut peer, bytes)
}

fn take_then_give(mut peer: TcpStream, bytes: usize) -> io::Result<()> {
    take(&mut peer, bytes)?;
    give(&mut peer, bytes)
}

fn give(peer: &mut TcpStream, bytes: usize) -> io::Result<()> {
    let chunk = vec![7; 1 << 18];
    let mut left = bytes;
    while left > 0 {
        left -= peer.write(&chunk[..chunk.len().min(left)])?;
    }
    peer.shutdown(Shutdown::Write)
}

/// Reads to the end, which must come after so many bytes.
fn take(peer: &mut TcpStream, bytes: usize) -> io::Result<()> {
    let mut chunk = vec![0; 1 << 18];
    let mut taken = 0;
    loop {
        match peer.read(&mut chunk)? {
            0 if taken == bytes => return Ok(()),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => taken += read,
        }
    }
}
