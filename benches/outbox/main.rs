//! What an outbox costs beside a bare `FramedWrite` of the same codec.
//!
//! `cargo bench --features outbox --bench outbox`, or with `--features durable` for what that costs too.
//! Without `--bench` (as `cargo test --benches` runs it) a short run shows that it works; its figures mean
//! nothing.
//!
//! Both send the same messages over loopback to a thread that drains, in slices that take turns: bare,
//! outbox, bare. A slice is over when the thread has its last byte, and is compared with its two
//! neighbours only: what slows the machine down slows all three.

#[cfg(feature = "durable")]
mod durable;
mod memory;
mod peer;

use bytes::Bytes;
use futures::SinkExt;
use hangup::outbox::Outbox;
use peer::Peer;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_util::codec::{FramedWrite, LengthDelimitedCodec};

/// What is sent, and how often in a slice: for some milliseconds.
struct Case {
    size: usize,
    count: usize,
    /// The least part of the bare one's rate.
    least: f64,
}

const CASES: &[Case] = &[
    Case {
        size: 100,
        count: 50_000,
        least: 0.7,
    },
    Case {
        size: 64 * 1024,
        count: 400,
        least: 0.95,
    },
];

/// For how long each case is measured.
const TIME: Duration = Duration::from_secs(6);

/// The most bytes beside its own that a queued message takes.
const OVERHEAD: f64 = 64.0;

fn main() -> Result<(), Box<dyn Error>> {
    let thorough = std::env::args().any(|argument| argument == "--bench");
    let time = if thorough { TIME } else { Duration::ZERO };
    if !thorough {
        println!(
            "a short run, too short to measure: `cargo bench --features outbox --bench outbox` does"
        );
    }
    let mut missed = false;

    println!(
        "{:<16} {:>8} {:>14} {:>14} {:>7} {:>16}",
        "runtime", "bytes", "bare, /s", "outbox, /s", "ratio", "quartiles"
    );
    for case in CASES {
        for (name, runtime) in [
            (
                "multi-thread",
                Builder::new_multi_thread().enable_all().build()?,
            ),
            (
                "current-thread",
                Builder::new_current_thread().enable_all().build()?,
            ),
        ] {
            let measured = compare(&runtime, case, time)?;
            missed |= measured.line(name, case) < case.least;
        }
    }

    #[cfg(feature = "durable")]
    {
        println!();
        durable::rows(time / 4)?;
    }

    println!();
    for (what, bytes) in memory::per_message()? {
        println!("{bytes:>6.1} bytes beside its own for a queued message: {what}");
        missed |= bytes > OVERHEAD;
    }
    if thorough && missed {
        return Err("a figure is not what it should be".into());
    }
    Ok(())
}

#[derive(Default)]
struct Measured {
    bare: Vec<f64>,
    outbox: Vec<f64>,
    ratios: Vec<f64>,
}

impl Measured {
    fn line(mut self, name: &str, case: &Case) -> f64 {
        let ratio = quartile(&mut self.ratios, 2);
        println!(
            "{name:<16} {:>8} {:>14.0} {:>14.0} {ratio:>7.3} {:>16}",
            case.size,
            quartile(&mut self.bare, 2),
            quartile(&mut self.outbox, 2),
            format!(
                "{:.3} to {:.3}",
                quartile(&mut self.ratios, 1),
                quartile(&mut self.ratios, 3)
            ),
        );
        ratio
    }
}

fn quartile(values: &mut [f64], which: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * which / 4]
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Else the last bytes of a slice wait for the peer's delayed acknowledgement.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn compare(runtime: &Runtime, case: &Case, time: Duration) -> Result<Measured, Box<dyn Error>> {
    let message = Bytes::from(vec![7; case.size]);
    let bytes = (case.count * (4 + case.size)) as u64;
    let bare_peer = Peer::new()?;
    let outbox_peer = Peer::new()?;
    let (mut framed, outbox) = runtime.block_on(async {
        let framed = connect(bare_peer.address()).await?;
        let address = outbox_peer.address();
        let outbox =
            Outbox::builder(move || connect(address), LengthDelimitedCodec::new).spawn()?;
        let framed = FramedWrite::new(framed, LengthDelimitedCodec::new());
        Ok::<_, io::Error>((Some(framed), outbox))
    })?;
    let bare = |framed: &mut Option<FramedWrite<TcpStream, LengthDelimitedCodec>>| {
        let mut sink = framed.take().ok_or("lost")?;
        let message = message.clone();
        let count = case.count;
        let target = bare_peer.expect(bytes);
        let began = Instant::now();
        // In a task, as the outbox is.
        let task = async move {
            for _ in 0..count {
                sink.feed(message.clone()).await?;
            }
            SinkExt::<Bytes>::flush(&mut sink).await?;
            Ok::<_, io::Error>(sink)
        };
        let sink = runtime.block_on(async {
            let sink = tokio::spawn(task).await??;
            target.await?;
            Ok::<_, Box<dyn Error>>(sink)
        })?;
        *framed = Some(sink);
        Ok::<_, Box<dyn Error>>(case.count as f64 / began.elapsed().as_secs_f64())
    };
    let ours = || {
        let (message, sender) = (message.clone(), outbox.clone());
        let count = case.count;
        let target = outbox_peer.expect(bytes);
        let began = Instant::now();
        let task = async move {
            for _ in 0..count {
                drop(sender.send(message.clone()).await?);
            }
            Ok::<_, hangup::outbox::OutboxError<Bytes>>(())
        };
        let elapsed = runtime.block_on(async {
            tokio::spawn(task).await??;
            target.await?;
            let elapsed = began.elapsed();
            let mut status = outbox.subscribe();
            status.wait_for(|status| status.queued == 0).await?;
            Ok::<_, Box<dyn Error>>(elapsed)
        })?;
        Ok::<_, Box<dyn Error>>(case.count as f64 / elapsed.as_secs_f64())
    };
    let mut measured = Measured::default();
    let began = Instant::now();
    let mut before = bare(&mut framed)?;
    ours()?;
    while measured.ratios.is_empty() || began.elapsed() < time {
        let rate = ours()?;
        let after = bare(&mut framed)?;
        measured.ratios.push(2.0 * rate / (before + after));
        measured.outbox.push(rate);
        measured.bare.push(after);
        before = after;
    }
    Ok(measured)
}
