//! `send_file` beside a loop that reads the file and writes it.
//!
//! `cargo bench --bench send_file`. Without `--bench` (as `cargo test --benches` runs it) a short run
//! shows that it works; its figures mean nothing.
//!
//! A file in the page cache, a peer on loopback that throws away what it reads. The three take turns,
//! and each turn is compared with the read loop's of the same round.

#![allow(clippy::unwrap_used)] // a benchmark: a panic is its failure

use hangup::MonitoredStream;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use std::{env, thread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BUFFER: usize = 64 * 1024;

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
    let path = env::temp_dir().join(format!("hangup-bench-{}", std::process::id()));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    for _ in 0..length >> 20 {
        file.write_all(&vec![b'x'; 1 << 20])?;
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut figures = [(); 3].map(|()| Vec::new());
    // The first round warms up.
    for round in 0..=rounds {
        for (way, figures) in figures.iter_mut().enumerate() {
            let (stream, taken) = connection()?;
            let took = runtime.block_on(async {
                stream.set_nonblocking(true)?;
                let mut stream = MonitoredStream::new(tokio::net::TcpStream::from_std(stream)?)?;
                let begin = (Instant::now(), cpu());
                match way {
                    0 => read_loop(&mut stream, &file).await?,
                    1 => tokio_file(&mut stream, file.try_clone()?).await?,
                    _ => assert_eq!(stream.send_file(&file, ..).await?, length),
                }
                drop(stream);
                let taken = taken.join().expect("the peer does not panic")?;
                assert_eq!(taken, length);
                io::Result::Ok((begin.0.elapsed(), cpu() - begin.1))
            })?;
            if round > 0 {
                figures.push(took);
            }
        }
    }

    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        "\n{} MiB to a peer on loopback    MB/s   of the read loop's    CPU, peer's included, of the read loop's",
        length >> 20
    );
    let names = [
        "pread and write, 64 KiB",
        "tokio::fs::File and write, 64 KiB",
        "send_file",
    ];
    for (name, those) in names.into_iter().zip(&figures) {
        let pairs = || those.iter().zip(&figures[0]);
        let speed = median(
            those
                .iter()
                .map(|(time, _)| length as f64 / time.as_secs_f64() / 1e6)
                .collect(),
        );
        let ratio = median(
            pairs()
                .map(|(this, read)| read.0.as_secs_f64() / this.0.as_secs_f64())
                .collect(),
        );
        let cost = median(
            pairs()
                .map(|(this, read)| this.1.as_secs_f64() / read.1.as_secs_f64())
                .collect(),
        );
        println!("{name:<34} {speed:>8.0} {ratio:>10.2} {cost:>24.2}");
    }
    Ok(())
}

/// A connection, and the thread that takes what comes through it.
fn connection() -> io::Result<(TcpStream, thread::JoinHandle<io::Result<u64>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut peer = TcpStream::connect(listener.local_addr()?)?;
    let taken = thread::spawn(move || {
        let (mut buffer, mut taken) = (vec![0; 1 << 20], 0);
        loop {
            match peer.read(&mut buffer)? {
                0 => return Ok(taken),
                read => taken += read as u64,
            }
        }
    });
    Ok((listener.accept()?.0, taken))
}

async fn read_loop(
    stream: &mut MonitoredStream<tokio::net::TcpStream>,
    file: &File,
) -> io::Result<()> {
    let (mut buffer, mut at) = (vec![0; BUFFER], 0);
    loop {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
        at += read as u64;
    }
}

async fn tokio_file(
    stream: &mut MonitoredStream<tokio::net::TcpStream>,
    file: File,
) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};
    (&file).seek(SeekFrom::Start(0))?;
    let (mut file, mut buffer) = (tokio::fs::File::from_std(file), vec![0; BUFFER]);
    loop {
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

/// The processor's time that this process has used, its threads' together.
fn cpu() -> Duration {
    let time = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()) as u64)
    };
    seconds(time.user_time()) + seconds(time.system_time())
}
