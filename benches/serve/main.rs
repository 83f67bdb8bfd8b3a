//! Servers and proxies of this crate beside those that are in use, in one run.
//!
//! ```sh
//! cargo build --release --example proxy
//! cargo bench --features serve,ring --bench serve                 # all
//! cargo bench --features serve,ring --bench serve -- small proxy  # some: large, small, stalled, cold, proxy
//! ```
//!
//! Needs `nginx`, `lighttpd`, `haproxy`, `wrk` and `h2load` (Debian: nginx-light, lighttpd, haproxy, wrk,
//! nghttp2-client), and `static-web-server` (`cargo install static-web-server`); what is not there is left out. A round
//! goes through all servers, and the figures are the medians of the rounds.

mod client;
mod cold;
mod files;
mod ours;
mod process;
mod proxy;
mod scratch;
mod server;

use files::WAYS;
use scratch::Scratch;
use server::Server;
use std::io;
use std::path::Path;

/// How often each server has its turn.
const ROUNDS: usize = 7;

fn main() -> io::Result<()> {
    let (mut thorough, mut wanted) = (false, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" => thorough = true,
            _ => wanted.push(argument),
        }
    }
    if let [how @ ("--serve" | "--serve-by-one"), folder] = &*strings(&wanted) {
        return ours::run(Path::new(folder), *how == "--serve-by-one");
    }
    if !thorough {
        println!("too long for a test: `cargo bench --features serve,ring --bench serve` measures");
        return Ok(());
    }
    let wants = |what: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == what);
    let scratch = Scratch::new()?;
    if wants("large") {
        tell_large(&started(&scratch))?;
    }
    if wants("small") {
        tell_small(&started(&scratch), &scratch);
    }
    if wants("stalled") {
        files::stalled(&started(&scratch))?;
    }
    if wants("cold") {
        cold::measure(&started(&scratch), &scratch)?;
    }
    if wants("proxy") {
        proxy::measure(&scratch)?;
    }
    Ok(())
}

fn tell_large(servers: &[Server]) -> io::Result<()> {
    let figures = files::large(servers, ROUNDS)?;
    println!("\n| server | CPU ms a GiB | GiB/s, one client |\n|---|---|---|");
    for (server, figures) in servers.iter().zip(&figures) {
        let (name, cpu, rate) = (server.name, median(&figures.cpu), median(&figures.rate));
        println!("| {name} | {cpu:.0} | {rate:.2} |");
    }
    Ok(())
}

fn tell_small(servers: &[Server], scratch: &Scratch) {
    let figures = files::small(servers, scratch, &WAYS, ROUNDS);
    println!(
        "\n| 4 KiB files/s | {} |\n|---|---|---|---|---|---|",
        WAYS.join(" | ")
    );
    for (server, figures) in servers.iter().zip(&figures) {
        let figures: Vec<_> = figures
            .iter()
            .map(|figures| match &figures[..] {
                [] => "–".to_owned(),
                figures => format!("{:.0}", median(figures)),
            })
            .collect();
        println!("| {} | {} |", server.name, figures.join(" | "));
    }
}

fn strings(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The servers, started.
fn started(scratch: &Scratch) -> Vec<Server> {
    let started = [
        Server::ours(scratch, "--serve"),
        Server::ours(scratch, "--serve-by-one"),
        Server::nginx(scratch),
        Server::lighttpd(scratch),
        Server::static_web_server(scratch),
    ];
    started.into_iter().filter_map(present).collect()
}

/// Says what is left out.
fn present<T>(started: io::Result<T>) -> Option<T> {
    started
        .inspect_err(|error| println!("left out: {error}"))
        .ok()
}

fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
