//! `serve` beside nginx.

#[path = "../../../serve/client.rs"]
mod client;
#[path = "../../../serve/files.rs"]
#[expect(dead_code, reason = "stalled readers are left to the benchmark")]
mod files;
#[path = "../../../serve/ours.rs"]
mod ours;
#[path = "../../../serve/process.rs"]
#[expect(dead_code, reason = "memory and disks are left to the benchmark")]
mod process;
#[path = "../../../serve/scratch.rs"]
#[expect(dead_code, reason = "cold files are left to the benchmark")]
mod scratch;
#[path = "../../../serve/server.rs"]
#[expect(
    dead_code,
    reason = "other servers and proxies are left to the benchmark"
)]
mod server;

use crate::Result;
use crate::plot::ratios;
use crate::section::Measured;
use crate::spread::Spread;
pub(crate) use ours::run;
use scratch::Scratch;
use server::Server;

const ROUNDS: usize = 3;

const WAYS: [(&str, &str); 4] = [
    ("one file", "one-file"),
    ("a connection each", "a-connection-each"),
    ("TLS", "tls"),
    ("HTTP/2", "http2"),
];

pub(crate) fn measure() -> Result<Measured> {
    let mut measured = Measured::default();
    let scratch = Scratch::new()?;
    let nginx = match Server::nginx(&scratch) {
        Ok(nginx) => nginx,
        Err(error) => {
            measured.paragraph(format_args!(
                "Not measured: nginx cannot be started: {error}."
            ));
            return Ok(measured);
        }
    };
    let servers = [Server::ours(&scratch, "--serve")?, nginx];
    measured.paragraph(format_args!(
        "`ServeFolder` on `serve` and nginx, each with two workers, over loopback, in {ROUNDS} turns. A file of 1 GiB from the\n\
         page cache to one client, and files of 4 KiB to 64 clients of one thread of wrk (16 connections with ten streams each\n\
         of h2load for HTTP/2). A client that is not installed leaves its row out."
    ));
    let mut rows = Vec::new();
    let mut drawn = Vec::new();
    let large = files::large(&servers, ROUNDS)?;
    let mut compare = |name: &str, figure: &str, ours: &[f64], theirs: &[f64], places: usize| {
        if ours.is_empty() || theirs.is_empty() {
            return;
        }
        let ratio = Spread::of_ratios(ours, theirs);
        let median = |values: &[f64]| {
            let spread = Spread::of(values.iter().copied());
            format!("{:.places$}", spread.median)
        };
        rows.push([
            name.to_owned(),
            median(ours),
            median(theirs),
            format!("{ratio:.2}"),
        ]);
        drawn.push((name.to_owned(), ratio));
        measured.spread(figure, ratio, 2);
    };
    compare(
        "1 GiB, GiB/s",
        "large.throughput",
        &large[0].rate,
        &large[1].rate,
        2,
    );
    compare(
        "1 GiB, the server's ms of processor",
        "large.cpu",
        &large[0].cpu,
        &large[1].cpu,
        0,
    );
    let small = files::small(&servers, &scratch, &WAYS.map(|(way, _)| way), ROUNDS);
    for (number, (way, figure)) in WAYS.into_iter().enumerate() {
        let name = format!("4 KiB, {way}, requests/s");
        compare(&name, figure, &small[0][number], &small[1][number], 0);
    }
    measured.table(["", "serve", "nginx", "serve, of nginx's"], rows);
    measured.plot(
        "serve",
        "What serve has of nginx's figures",
        ratios("serve, of nginx's (1: the same)", &drawn)?,
    );
    Ok(measured)
}
