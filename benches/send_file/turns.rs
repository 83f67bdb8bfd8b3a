//! Transfers of one file, in turns.
//!
//! A file in the page cache, a peer on loopback that throws away what it reads. The three ways take turns,
//! and each turn is compared with the read loop's of the same round.

use hangup::MonitoredStream;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use std::{env, thread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BUFFER: usize = 64 * 1024;

/// The ways to send a file. The first one is the measure of the others.
pub(crate) const NAMES: [&str; 3] = [
    "pread and write, 64 KiB",
    "tokio::fs::File and write, 64 KiB",
    "send_file",
];

/// The time and the processor's time of each turn, for each way.
pub(crate) struct Turns {
    length: u64,
    turns: [Vec<(Duration, Duration)>; NAMES.len()],
}

impl Turns {
    /// Sends a file of `length` bytes, a multiple of a MiB.
    pub(crate) fn run(length: u64, rounds: usize) -> io::Result<Self> {
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
        let mut turns = [(); NAMES.len()].map(|()| Vec::new());
        // The first round warms up.
        for round in 0..=rounds {
            for (way, turns) in turns.iter_mut().enumerate() {
                let (stream, taken) = connection()?;
                let took = runtime.block_on(async {
                    stream.set_nonblocking(true)?;
                    let mut stream =
                        MonitoredStream::new(tokio::net::TcpStream::from_std(stream)?)?;
                    let begin = (Instant::now(), cpu()?);
                    match way {
                        0 => read_loop(&mut stream, &file).await?,
                        1 => tokio_file(&mut stream, file.try_clone()?).await?,
                        _ => assert_eq!(stream.send_file(&file, ..).await?, length),
                    }
                    drop(stream);
                    let taken = taken.join().expect("the peer does not panic")?;
                    assert_eq!(taken, length);
                    io::Result::Ok((begin.0.elapsed(), cpu()? - begin.1))
                })?;
                if round > 0 {
                    turns.push(took);
                }
            }
        }
        Ok(Self { length, turns })
    }

    pub(crate) fn megabytes_per_second(&self, way: usize) -> Vec<f64> {
        let rate = |(time, _): &(Duration, _)| self.length as f64 / time.as_secs_f64() / 1e6;
        self.turns[way].iter().map(rate).collect()
    }

    /// How many times as fast as the read loop's turn of the same round.
    pub(crate) fn speed_ratios(&self, way: usize) -> Vec<f64> {
        self.beside_the_first(way, |this, first| {
            first.0.as_secs_f64() / this.0.as_secs_f64()
        })
    }

    /// The processor's time, peer's included, divided by that of the read loop's turn of the same round.
    pub(crate) fn cpu_ratios(&self, way: usize) -> Vec<f64> {
        self.beside_the_first(way, |this, first| {
            this.1.as_secs_f64() / first.1.as_secs_f64()
        })
    }

    fn beside_the_first(
        &self,
        way: usize,
        ratio: impl Fn((Duration, Duration), (Duration, Duration)) -> f64,
    ) -> Vec<f64> {
        let pairs = self.turns[way].iter().zip(&self.turns[0]);
        pairs.map(|(this, first)| ratio(*this, *first)).collect()
    }
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
fn cpu() -> io::Result<Duration> {
    let time = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)?;
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()) as u64)
    };
    Ok(seconds(time.user_time()) + seconds(time.system_time()))
}
