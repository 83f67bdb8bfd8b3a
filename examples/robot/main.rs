//! A robot that reports over a link that is cut again and again, and loses nothing that matters.
//!
//! ```sh
//! cargo run --release --example robot
//! ```
//!
//! The robot sends numbered telemetry, which is best effort, and events, which are important, through an
//! [`Outbox`]. A proxy cuts the link at random. The base station counts what arrives.

mod cuts;
#[path = "../file_server/interrupts.rs"]
mod interrupts;
mod options;
mod proxy;
mod report;
mod station;
mod summary;
mod view;

use cuts::Plan;
use hangup::outbox::{Backoff, Confirm, Outbox, Processed, Receipt};
use interrupts::interrupts;
use options::{Confirmed, Options};
use proxy::{Manners, Proxy};
use report::{Lines, Report};
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
async fn main() -> ExitCode {
    let (error, status) = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => match drive(options).await {
            Ok(summary) => {
                println!("{summary}");
                return ExitCode::from(u8::from(summary.lost() > 0));
            }
            Err(error) => (error.to_string(), 1),
        },
        Ok(None) => {
            println!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => (format!("{error}\nTry `robot --help`."), 2),
    };
    eprintln!("robot: {error}");
    ExitCode::from(status)
}

/// Sends everything, or until Ctrl-C, and waits for what is queued.
async fn drive(options: Options) -> Result<Summary, Box<dyn std::error::Error>> {
    let mut interrupts = interrupts()?;
    let station = Station::bind(options.confirm == Confirmed::ByPeer).await?;
    let mut seen = station.seen();
    let proxy = proxy(options, station.address()?).await?;
    let cuts = proxy.tally();
    let outbox = outbox(options, proxy.address()?)?;

    let mut servers = JoinSet::new();
    servers.spawn(station.run());
    servers.spawn(proxy.run());
    let sent = Arc::new(AtomicU64::new(0));
    let view = View::new(options.messages).show(outbox.clone(), sent.clone());
    let view = tokio::spawn(view);
    let (receipts, to_await) = mpsc::channel(1024);
    let confirmed = tokio::spawn(confirmed(to_await));

    let (mut events, mut telemetry) = (0, 0);
    let sending = async {
        let pace = options.duration.div_f64(options.messages as f64);
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
                // Nobody asks what became of it.
                Report::Telemetry { .. } => telemetry += 1,
            }
            sent.store(number + 1, Ordering::Relaxed);
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    tokio::select! {
        sent = sending => sent?,
        _ = interrupts.recv() => {}
        Some(ended) = servers.join_next() => ended??,
    }
    drop(receipts);

    let resent = tokio::select! {
        left = outbox.shutdown(DRAIN) => {
            drop(left);
            outbox.status().resent
        }
        _ = interrupts.recv() => {
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

/// The proxy, whose cuts are spread over all that is sent.
async fn proxy(options: Options, station: SocketAddr) -> io::Result<Proxy> {
    // Of a report some 30 bytes are sent, and of its reply some 8.
    let reports = options.messages / options.cuts.max(1);
    let plan = Plan::new(options.seed, options.cuts, reports * 25, HOLD);
    match options.confirm {
        Confirmed::ByPeer => {
            let plan = plan.in_replies(reports * 5);
            Proxy::bind(station, plan, Manners::Rude).await
        }
        Confirmed::Acknowledged => Proxy::bind(station, plan, Manners::Gentle).await,
    }
}

fn outbox(options: Options, station: SocketAddr) -> io::Result<Outbox<Report>> {
    let confirm = match options.confirm {
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

/// How many of the events were confirmed.
async fn confirmed(mut receipts: mpsc::Receiver<Receipt<Report>>) -> u64 {
    let mut confirmed = 0;
    while let Some(receipt) = receipts.recv().await {
        // An error would bring the report back.
        confirmed += u64::from(receipt.await.is_ok());
    }
    confirmed
}
