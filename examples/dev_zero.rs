//! A network /dev/zero: sends zeros to each client until it leaves.
//!
//! ```sh
//! cargo run --release --example dev_zero -- --every 1000
//! cargo run --release --example dev_zero -- --every 1000 --naive
//! ```
//!
//! Connect to each with the command that it prints, leave with Ctrl-C, and compare when it notices.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "program/print.rs"]
mod print;
#[path = "program/accept_errors.rs"]
mod accept_errors;

use anyhow::Context;
use clap::Parser;
use hangup::{CloseReason, Closed, MonitorConfig, MonitoredListener, MonitoredStream, StallPolicy};
use indicatif::HumanCount;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

/// Sends zeros to each client until it leaves.
///
/// Prints one line for each client: how many bytes the kernel accepted, why the stream closed, how long after that
/// the sending stopped, and how many bytes were produced in that time.
///
/// To see the difference, run `dev_zero --every 1000` with and without --naive, connect with the printed command, and
/// leave with Ctrl-C. The naive sender notices with the second chunk that it sends to nobody: the first one is
/// accepted, and answered with a reset.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Send one chunk every MS milliseconds; 0 is as fast as the client reads
    #[arg(long, value_name = "MS", default_value_t = 0)]
    every: u64,
    /// The size of a chunk
    #[arg(long, value_name = "BYTES", default_value_t = 65_536,
          value_parser = clap::value_parser!(u32).range(1..))]
    chunk: u32,
    /// Notice from failed writes alone that a client has left, as without `hangup`
    #[arg(long)]
    naive: bool,
    /// End after N clients. By default it runs until it is stopped
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    clients: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // A client that takes nothing for a minute is not worth a descriptor.
    let stalled = StallPolicy::new(1, Duration::from_secs(60));
    let listener = MonitoredListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?
        .config(MonitorConfig::new().stall(stalled))
        .on_accept_error(accept_errors::print_changes());
    let address = listener.local_addr()?;
    say!("listening on {address}; try: curl --output /dev/null gopher://{address}/");

    let mut clients = JoinSet::new();
    for _ in 0..args.clients {
        let (stream, client) = listener.accept_retrying().await;
        clients.spawn(serve(stream, client, args));
        // The set keeps a finished task until it is joined.
        while clients.try_join_next().is_some() {}
    }
    clients.join_all().await;
    Ok(())
}

async fn serve(mut stream: MonitoredStream<TcpStream>, client: SocketAddr, args: Args) {
    let mut zeros = Zeros::new(args);
    let stopwatch = tokio::spawn(closed_at(stream.closed(), zeros.produced.clone()));
    let monitor = stream.monitor();
    let (accepted, reason) = if args.naive {
        send_naively(stream.get_mut(), &mut zeros).await
    } else {
        let reason = send(&mut stream, &mut zeros).await;
        (monitor.accepted(), reason.to_string())
    };
    let stopped = Instant::now();
    // The stopwatch stops now at the latest.
    drop(stream);
    let Ok((closed, produced)) = stopwatch.await else {
        return;
    };
    say!(
        "{client}: {} bytes accepted, {reason}; stopped {:.2} ms after the close, {} bytes produced after it",
        HumanCount(accepted),
        stopped.saturating_duration_since(closed).as_secs_f64() * 1e3,
        HumanCount(zeros.produced.load(Relaxed) - produced),
    );
}

/// Sends until the stream closes.
async fn send(stream: &mut MonitoredStream<TcpStream>, zeros: &mut Zeros) -> CloseReason {
    let mut closed = stream.closed();
    loop {
        tokio::select! {
            biased;
            reason = &mut closed => return reason,
            sent = async { stream.write_all(zeros.next().await).await } => {
                if let Err(error) = sent {
                    return CloseReason::from(&error);
                }
            }
        }
    }
}

/// Sends on the bare stream until a write fails.
async fn send_naively(stream: &mut TcpStream, zeros: &mut Zeros) -> (u64, String) {
    let mut accepted = 0;
    loop {
        let mut chunk = zeros.next().await;
        while !chunk.is_empty() {
            match stream.write(chunk).await {
                Ok(bytes) => {
                    accepted += bytes as u64;
                    chunk = &chunk[bytes..];
                }
                Err(error) => return (accepted, error.to_string()),
            }
        }
    }
}

/// When the stream closed, and how much had been produced by then.
async fn closed_at(closed: Closed, produced: Arc<AtomicU64>) -> (Instant, u64) {
    closed.await;
    (Instant::now(), produced.load(Relaxed))
}

/// Makes the chunks, one every `pace`, and counts their bytes.
struct Zeros {
    chunk: Vec<u8>,
    pace: Option<Interval>,
    produced: Arc<AtomicU64>,
}

impl Zeros {
    fn new(args: Args) -> Self {
        let pace = (args.every > 0).then(|| {
            let mut pace = tokio::time::interval(Duration::from_millis(args.every));
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        Self {
            chunk: vec![0; args.chunk as usize],
            pace,
            produced: Arc::default(),
        }
    }

    async fn next(&mut self) -> &[u8] {
        if let Some(pace) = &mut self.pace {
            pace.tick().await;
        }
        self.produced.fetch_add(self.chunk.len() as u64, Relaxed);
        &self.chunk
    }
}
