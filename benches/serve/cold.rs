//! A file that is not in the page cache, on a slow disk: the delay of other connections while it is sent, and what is read
//! of it after its client has left.

use super::client::ask;
use super::files::settle;
use super::scratch::{COLD, Scratch};
use super::server::Server;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes a second.
const RATE: u64 = 4 << 20;

/// How long the other connections are watched.
const WATCHED: Duration = Duration::from_secs(5);

/// How many other connections there are: more than any server has workers.
const OTHERS: usize = 16;

/// What the client of the cold file reads before it leaves.
const TAKEN: u64 = 4 << 20;

pub(crate) fn measure(servers: &[Server], scratch: &Scratch) -> io::Result<()> {
    let disk = match SlowDisk::new(&scratch.path) {
        Ok(disk) => disk,
        Err(error) => {
            println!("left out: a slow disk: {error}");
            return Ok(());
        }
    };
    println!(
        "\n| server, disk of {} MiB/s | slowest answer to others, nothing cold | with a cold file \
         | median of these | KiB read beyond what the client took | of it after the hang-up |\n\
         |---|---|---|---|---|---|",
        RATE >> 20
    );
    for server in servers {
        disk.take(&server.process.ids())?;
        let mut others = Others::connect(server.address)?;
        let (before, _) = others.delays()?;
        scratch.evict("cold")?;
        let cold = ask(server.address, "cold")?;
        let reader = std::thread::spawn(move || read_until(cold, COLD));
        let (slowest, median) = others.delays()?;
        // The connection of the thread ends with it, when all is read.
        drop(reader.join());
        scratch.evict("cold")?;
        let (beyond, after) = after_the_hang_up(server)?;
        disk.give_back(&server.process.ids())?;
        println!(
            "| {} | {before:.1?} | {slowest:.1?} | {median:.1?} | {} | {} |",
            server.name,
            beyond >> 10,
            after >> 10
        );
    }
    Ok(())
}

/// Connections that were there before, at every worker.
struct Others {
    address: SocketAddr,
    connections: Vec<TcpStream>,
}

impl Others {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let connections = (0..OTHERS).map(|_| TcpStream::connect(address));
        Ok(Self {
            address,
            connections: connections.collect::<io::Result<_>>()?,
        })
    }

    /// Small requests on each in turn: the slowest answer and the median.
    fn delays(&mut self) -> io::Result<(Duration, Duration)> {
        let mut delays = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < WATCHED {
            for connection in &mut self.connections {
                let asked = Instant::now();
                if answer(connection).is_err() {
                    // The server was away for longer than it keeps connections.
                    *connection = TcpStream::connect(self.address)?;
                }
                delays.push(asked.elapsed());
                std::thread::park_timeout(Duration::from_millis(1));
            }
        }
        delays.sort_unstable();
        let median = delays[delays.len() / 2];
        Ok((delays.pop().unwrap_or_default(), median))
    }
}

/// A small file, to the end of its body.
fn answer(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n")?;
    let mut response: Vec<u8> = Vec::new();
    let mut part = [0; 8 << 10];
    loop {
        let head = response.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if head.is_some_and(|head| response.len() >= head + 4 + 4096) {
            return Ok(());
        }
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => response.extend(&part[..bytes]),
        }
    }
}

fn read_until(mut stream: TcpStream, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut read = 0;
    while read < bytes {
        match stream.read(&mut buffer)? {
            0 => break,
            part => read += part,
        }
    }
    Ok(())
}

/// The client takes a part of the cold file and leaves. What is read from the disk beyond that part, and how much of it
/// after the hang-up.
fn after_the_hang_up(server: &Server) -> io::Result<(u64, u64)> {
    let before = server.process.read_from_disk();
    let mut cold = ask(server.address, "cold")?;
    let mut buffer = vec![0; 64 << 10];
    let mut taken = 0_u64;
    while taken < TAKEN {
        taken += cold.read(&mut buffer)? as u64;
    }
    let then = server.process.read_from_disk();
    drop(cold);
    settle();
    let after = server.process.read_from_disk();
    Ok(((after - before).saturating_sub(taken), after - then))
}

/// A group of processes whose reads from one disk are slow (the blkio controller of cgroups(7), version 1).
struct SlowDisk {
    group: PathBuf,
}

impl SlowDisk {
    /// Slows the disk down that has `path`.
    fn new(path: &Path) -> io::Result<Self> {
        let group = format!("/sys/fs/cgroup/blkio/hangup-bench-{}", std::process::id());
        let disk = Self {
            group: group.into(),
        };
        fs::create_dir(&disk.group)?;
        let device = fs::metadata(path)?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let limit = format!("{major}:{minor} {RATE}");
        fs::write(disk.group.join("blkio.throttle.read_bps_device"), limit)?;
        Ok(disk)
    }

    /// Slows the disk down for these processes.
    fn take(&self, processes: &[u32]) -> io::Result<()> {
        move_to(&self.group, processes)
    }

    fn give_back(&self, processes: &[u32]) -> io::Result<()> {
        move_to(Path::new("/sys/fs/cgroup/blkio"), processes)
    }
}

fn move_to(group: &Path, processes: &[u32]) -> io::Result<()> {
    for process in processes {
        fs::write(group.join("cgroup.procs"), process.to_string())?;
    }
    Ok(())
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.group);
    }
}
