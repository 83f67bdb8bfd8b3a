//! A robot that reports over a link that is cut again and again, and loses no report that matters.
//!
//! ```sh
//! cargo run --release --example robot
//! ```
//!
//! The robot sends numbered telemetry, which is best effort, and events, which are important, through an
//! [`Outbox`]. A proxy cuts the link at random. The base station counts what arrives.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "../program/print.rs"]
mod print;
#[path = "../program/accept_errors.rs"]
mod accept_errors;
#[path = "../program/signals.rs"]
mod signals;

mod cuts;
mod cutting;
mod forward;
mod options;
mod proxy;
mod report;
mod station;
mod summary;
mod view;

use clap::Parser;
use cuts::Plan;
use cutting::Manners;
use hangup::outbox::{Backoff, Confirm, Outbox, Processed, Receipt};
use options::{Confirmed, Options};
use proxy::Proxy;
use report::{Lines, Report};
use signals::Signals;
use station::Station;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use summary::Summary;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_util::codec::LinesCodec;
use view::View;

/// How long a black hole lasts, at the most.
const HOLD: Duration = Duration::from_millis(400);

/// How long to wait at the end for what is queued.
const DRAIN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let summary = drive(Options::parse()).await?;
    say!("{summary}");
    Ok(ExitCode::from(u8::from(summary.lost() > 0)))
}

/// Sends all reports, or those until a signal, and waits for what is queued.
async fn drive(options: Options) -> anyhow::Result<Summary> {
    let mut signals = Signals::new()?;
    let station = Station::bind(options.confirm == Confirmed::ByPeer).await?;
    let mut seen = station.seen();
    let proxy = proxy(options, station.address()?).await?;
    let cuts = proxy.tally();
    let outbox = outbox(options, proxy.address()?)?;

    let mut servers = JoinSet::new();
    servers.spawn(station.run());
    servers.spawn(proxy.run(accept_errors::print_changes()));
    let sent = Arc::new(AtomicU64::new(0));
    let view = View::new(options.messages).show(outbox.clone(), sent.clone());
    let view = tokio::spawn(view);
    let (receipts, to_await) = mpsc::channel(1024);
    let confirmed = tokio::spawn(confirmed(to_await));

    let (mut events, mut telemetry) = (0, 0);
    let sending = async {
        let pace = options.duration().div_f64(options.messages as f64);
        let mut pace = interval(pace.max(Duration::from_nanos(1)));
        for number in 0..options.messages {
            pace.tick().await;
            let report = Report::numbered(number);
            let receipt = outbox.send_with(report, report.importance()).await?;
            match report {
                Report::Event { .. } => {
                    events += 1;
                    receipts.send(receipt).await?;
                }
                // Its receipt is of no interest.
                Report::Telemetry { .. } => telemetry += 1,
            }
            sent.store(number + 1, Ordering::Relaxed);
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::select! {
        sent = sending => sent?,
        () = signals.next() => {}
        Some(ended) = servers.join_next() => ended?,
    }
    drop(receipts);

    let resent = tokio::select! {
        left = outbox.shutdown(DRAIN) => {
            drop(left);
            outbox.status().resent
        }
        () = signals.next() => {
            let resent = outbox.status().resent;
            outbox.shutdown(Duration::ZERO).await;
            resent
        }
    };
    let confirmed = confirmed.await?;
    // What TCP has acknowledged may still be on its way.
    let arrived = seen.wait_for(|seen| seen.events >= confirmed);
    drop(timeout(DRAIN, arrived).await);
    view.await?;
    let seen = *seen.borrow();
    Ok(Summary {
        events,
        telemetry,
        confirmed,
        resent,
        seen,
        cuts,
    })
}

/// The proxy, with its cuts spread over all reports.
async fn proxy(options: Options, station: SocketAddr) -> io::Result<Proxy> {
    // A report has about 30 bytes, and its reply about 8.
    let reports = options.messages / options.cuts.max(1);
    let plan = Plan::new(options.seed, options.cuts, reports * 25, HOLD);
    match options.confirm {
        Confirmed::ByPeer => {
            let plan = plan.in_replies(reports * 5);
            Proxy::bind(station, plan, Manners::Rude).await
        }
        #[cfg(target_os = "linux")]
        Confirmed::Acknowledged => Proxy::bind(station, plan, Manners::Gentle).await,
    }
}

fn outbox(options: Options, station: SocketAddr) -> io::Result<Outbox<Report>> {
    let confirm = match options.confirm {
        #[cfg(target_os = "linux")]
        Confirmed::Acknowledged => Confirm::Acknowledged,
        // Replies like "ok 17".
        Confirmed::ByPeer => Confirm::by_peer(
            |report: &Report| report.number(),
            || LinesCodec::new_with_max_length(Report::LONGEST),
            |line: String| Some(Processed::One(line.strip_prefix("ok ")?.parse().ok()?)),
        ),
    };
    Outbox::builder(move || TcpStream::connect(station), Lines::new)
        .confirm(confirm)
        .backoff(
            Backoff::exponential(Duration::from_millis(50), Duration::from_millis(500))
                .map_err(io::Error::other)?,
        )
        .spawn()
}

/// Counts the confirmed events.
async fn confirmed(mut receipts: mpsc::Receiver<Receipt<Report>>) -> u64 {
    let mut confirmed = 0;
    while let Some(receipt) = receipts.recv().await {
        // An error gives the report back.
        confirmed += u64::from(receipt.await.is_ok());
    }
    confirmed
}
