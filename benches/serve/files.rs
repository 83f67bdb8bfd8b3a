//! Files: a large one, small ones, and readers that stall.

use super::client::{ask, download, h2load, many_files, wrk};
use super::scratch::Scratch;
use super::server::Server;
use std::io::{self, Read};
use std::time::{Duration, Instant};

const STALLED: usize = 1000;

/// What the turns of one server took for the large file.
#[derive(Clone, Default)]
pub(crate) struct Large {
    /// The processor's time in milliseconds for a GiB.
    pub(crate) cpu: Vec<f64>,
    /// GiB a second.
    pub(crate) rate: Vec<f64>,
}

/// One client, one large file; the servers take turns.
pub(crate) fn large(servers: &[Server], rounds: usize) -> io::Result<Vec<Large>> {
    let mut figures = vec![Large::default(); servers.len()];
    for _ in 0..rounds {
        for (server, Large { cpu, rate }) in servers.iter().zip(&mut figures) {
            let before = server.process.cpu();
            let took = download(server.address)? + download(server.address)?;
            rate.push(2.0 / took.as_secs_f64());
            let used = server.process.cpu() - before;
            cpu.push(used.as_secs_f64() * 1000.0 / 2.0);
        }
    }
    Ok(figures)
}

/// The ways in which small files are asked for.
pub(crate) const WAYS: [&str; 5] = [
    "one file",
    "10 000 files",
    "a connection each",
    "TLS",
    "HTTP/2",
];

/// Many clients, small files, again and again; the servers take turns. Requests a second, for each server and each of
/// `ways`; none where a server or a client is not able to.
pub(crate) fn small(
    servers: &[Server],
    scratch: &Scratch,
    ways: &[&str],
    rounds: usize,
) -> Vec<Vec<Vec<f64>>> {
    let script = many_files(scratch).unwrap_or_default();
    let ask = |server: &Server, way| match way {
        "one file" => wrk(&server.url("/small"), &[]),
        "10 000 files" => wrk(&server.url("/"), &["-s", &script]),
        "a connection each" => wrk(&server.url("/small"), &["-H", "Connection: close"]),
        "TLS" => wrk(&format!("https://{}/small", server.tls?), &[]),
        _ => h2load(&format!("https://{}/small", server.tls?)),
    };
    let mut figures = vec![vec![Vec::new(); ways.len()]; servers.len()];
    for _ in 0..rounds {
        for (number, way) in ways.iter().enumerate() {
            for (server, figures) in servers.iter().zip(&mut figures) {
                figures[number].extend(ask(server, *way));
            }
        }
    }
    figures
}

/// Clients that ask for the large file and do not read it.
pub(crate) fn stalled(servers: &[Server]) -> io::Result<()> {
    println!(
        "\n| server | MB more with {STALLED} stalled readers | MB more when they are gone |\n\
         |---|---|---|"
    );
    for server in servers {
        let before = server.process.memory();
        let stalled = (0..STALLED)
            .map(|_| ask(server.address, "large"))
            .collect::<io::Result<Vec<_>>>()?;
        for mut stream in &stalled {
            stream.read_exact(&mut [0])?;
        }
        let more = || (server.process.memory() as f64 - before as f64) / 1e6;
        settle();
        let there = more();
        drop(stalled);
        settle();
        println!("| {} | {there:.1} | {:.1} |", server.name, more());
    }
    Ok(())
}

/// Lets a server come to rest.
pub(crate) fn settle() {
    let settled = Instant::now() + Duration::from_secs(2);
    while Instant::now() < settled {
        std::thread::park_timeout(settled - Instant::now());
    }
}
