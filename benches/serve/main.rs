//! Files over HTTP/1.1: this crate's server beside nginx and lighttpd, in one run.
//!
//! ```sh
//! cargo bench --features serve --bench serve
//! ```
//!
//! Needs `nginx`, `lighttpd` and `wrk` (Debian: nginx-light, lighttpd, wrk); what is not there is left out. A
//! round goes through all servers, and the figures are the medians of the rounds.

mod server;

use server::Server;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const GIB: u64 = 1 << 30;
const ROUNDS: usize = 7;
const STALLED: usize = 1000;

fn main() -> io::Result<()> {
    let thorough = std::env::args().any(|argument| argument == "--bench");
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    if let Some(how @ ("--serve" | "--serve-by-one")) = arguments.next().as_deref() {
        let folder = arguments.next().expect("a folder");
        return server::run_ours(Path::new(&folder), how == "--serve-by-one");
    }
    if !thorough {
        println!("too long for a test: `cargo bench --features serve --bench serve` measures");
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let folder = scratch.path.join("root");
    let started = [
        Server::ours(&folder, "--serve"),
        Server::ours(&folder, "--serve-by-one"),
        Server::nginx(&folder, &scratch.path),
        Server::lighttpd(&folder, &scratch.path),
    ];
    let servers: Vec<Server> = started
        .into_iter()
        .filter_map(|server| {
            server
                .inspect_err(|error| println!("left out: {error}"))
                .ok()
        })
        .collect();
    let mut figures = vec![Figures::default(); servers.len()];
    for _ in 0..ROUNDS {
        for (server, figures) in servers.iter().zip(&mut figures) {
            figures.download(server)?;
            figures.small(server);
        }
    }
    for (server, figures) in servers.iter().zip(&mut figures) {
        figures.stalled(server)?;
    }
    println!(
        "\n| server | CPU ms a GiB | GiB/s, one client | 4 KiB files/s, 64 clients \
         | MB more with {STALLED} stalled readers | MB more when they are gone |"
    );
    println!("|---|---|---|---|---|---|");
    for (server, figures) in servers.iter().zip(&figures) {
        println!(
            "| {} | {:.0} | {:.2} | {:.0} | {:.1} | {:.1} |",
            server.name,
            median(&figures.cpu),
            median(&figures.rate),
            median(&figures.small),
            figures.memory[0],
            figures.memory[1]
        );
    }
    Ok(())
}

#[derive(Debug, Clone, Default)]
struct Figures {
    cpu: Vec<f64>,
    rate: Vec<f64>,
    small: Vec<f64>,
    /// More than before, while the readers are there and when they are gone.
    memory: [f64; 2],
}

impl Figures {
    /// One client, one large file.
    fn download(&mut self, server: &Server) -> io::Result<()> {
        const TIMES: u64 = 2;
        let (cpu, begun) = (server.cpu(), Instant::now());
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..TIMES {
            let mut stream = ask(server, "large")?;
            let mut read = 0;
            loop {
                match stream.read(&mut buffer)? {
                    0 => break,
                    bytes => read += bytes as u64,
                }
            }
            assert!(read > GIB, "{} sent {read} bytes", server.name);
        }
        self.rate.push(TIMES as f64 / begun.elapsed().as_secs_f64());
        let cpu = server.cpu() - cpu;
        self.cpu.push(cpu.as_secs_f64() * 1000.0 / TIMES as f64);
        Ok(())
    }

    /// Many clients, one small file, again and again.
    fn small(&mut self, server: &Server) {
        let url = format!("http://{}/small", server.address);
        let wrk = Command::new("wrk")
            .args(["-t1", "-c64", "-d3s", &url])
            .output();
        let Ok(output) = wrk else { return };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Requests/sec:"));
        if text.contains("Non-2xx") || text.contains("Socket errors") {
            println!("{}: {text}", server.name);
        }
        self.small
            .extend(line.and_then(|line| line.trim().parse::<f64>().ok()));
    }

    /// Clients that ask for the large file and do not read it.
    fn stalled(&mut self, server: &Server) -> io::Result<()> {
        let before = server.memory();
        let stalled = (0..STALLED)
            .map(|_| ask(server, "large"))
            .collect::<io::Result<Vec<_>>>()?;
        for mut stream in &stalled {
            stream.read_exact(&mut [0])?;
        }
        let more = || (server.memory() as f64 - before as f64) / 1e6;
        settle();
        self.memory[0] = more();
        drop(stalled);
        settle();
        self.memory[1] = more();
        Ok(())
    }
}

/// Lets a server come to rest.
fn settle() {
    let settled = Instant::now() + Duration::from_secs(2);
    while Instant::now() < settled {
        std::thread::park_timeout(settled - Instant::now());
    }
}

fn ask(server: &Server, file: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server.address)?;
    stream.write_all(
        format!("GET /{file} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    Ok(stream)
}

fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A folder for the run, with the files that are served.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("hangup-bench-serve-{}", std::process::id()));
        let root = path.join("root");
        std::fs::create_dir_all(&root)?;
        std::fs::File::create(root.join("large"))?.set_len(GIB)?;
        std::fs::write(root.join("small"), [7; 4096])?;
        // Into the page cache.
        io::copy(
            &mut std::fs::File::open(root.join("large"))?,
            &mut io::sink(),
        )?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
