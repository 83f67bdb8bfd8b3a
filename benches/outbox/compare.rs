//! Messages through an outbox and through a bare `FramedWrite` of the same codec.
//!
//! Both send the same messages over loopback to a thread that drains, in slices that take turns: bare,
//! outbox, bare. A slice is over when the thread has its last byte, and is compared with its two
//! neighbours only: what slows the machine down slows all three.

use super::clock::Clock;
use super::peer::Peer;
use bytes::Bytes;
use futures::SinkExt;
use hangup::outbox::Outbox;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_util::codec::{FramedWrite, LengthDelimitedCodec};

/// What is sent, and how often in a slice: for some milliseconds.
pub(crate) struct Case {
    pub(crate) size: usize,
    count: usize,
    /// Each message gets a receipt, which is dropped. Otherwise a sink takes the messages, as `FramedWrite` does.
    pub(crate) receipts: bool,
    /// The least part of the bare one's rate.
    pub(crate) least: f64,
}

pub(crate) const CASES: &[Case] = &[
    Case {
        size: 100,
        count: 50_000,
        receipts: true,
        least: 0.7,
    },
    Case {
        size: 64 * 1024,
        count: 400,
        receipts: true,
        least: 0.95,
    },
];

/// What a user does who wants no receipts: the same calls as those of the bare side.
pub(crate) const FED: Case = Case {
    size: 100,
    count: 50_000,
    receipts: false,
    least: 0.7,
};

/// Messages a second, slice by slice, and the ratios of outbox to bare.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) bare: Vec<f64>,
    pub(crate) outbox: Vec<f64>,
    pub(crate) ratios: Vec<f64>,
}

pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Else the last bytes of a slice wait for the peer's delayed acknowledgement.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Takes turns for so long, and once at the least. A slice takes the time that `clock` shows.
pub(crate) fn compare(
    runtime: &Runtime,
    case: &Case,
    time: Duration,
    clock: Clock,
) -> Result<Measured, Box<dyn Error>> {
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
        let began = clock()?;
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
        Ok::<_, Box<dyn Error>>(case.count as f64 / (clock()? - began).as_secs_f64())
    };
    let ours = || {
        let (message, sender) = (message.clone(), outbox.clone());
        let (count, receipts) = (case.count, case.receipts);
        let target = outbox_peer.expect(bytes);
        let began = clock()?;
        let task = async move {
            if receipts {
                for _ in 0..count {
                    drop(sender.send(message.clone()).await?);
                }
            } else {
                let mut sink = sender.sink();
                for _ in 0..count {
                    sink.feed(message.clone()).await?;
                }
            }
            Ok::<_, hangup::outbox::OutboxError<Bytes>>(())
        };
        let elapsed = runtime.block_on(async {
            tokio::spawn(task).await??;
            target.await?;
            let elapsed = clock()? - began;
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
