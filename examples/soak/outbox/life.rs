//! The life of one outbox: some hundred messages, and a shutdown.

use super::journal::Journal;
use super::message::{LONGEST as LONGEST_MESSAGE, Note, id};
use super::peer::{Peer, meaning};
use super::receipts::{Reported, collect};
use crate::waiting::{LONGEST, within};
use anyhow::{Context, ensure};
use fastrand::Rng;
use hangup::outbox::{Backoff, Confirm, Outbox, OutboxStatus, Receipt};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::codec::LinesCodec;

/// What the outbox may hold: less than is sent.
const COUNT: usize = 64;
const BYTES: usize = 20 * LONGEST_MESSAGE as usize;

/// Lives one outbox to its end. Its peer runs `there`.
pub(crate) async fn live(
    there: &Handle,
    accepted: &AtomicU64,
    random: &mut Rng,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let journal = Arc::new(Journal::default());
    let mut peer = JoinSet::new();
    let runs = Peer {
        listener,
        journal: journal.clone(),
        random: random.fork(),
    };
    peer.spawn_on(runs.run(), there);
    let life = one(address, &journal, accepted, random);
    tokio::select! {
        lived = life => lived.context("an outbox"),
        ended = peer.join_next() => {
            ended.context("no peer")?.context("the peer of an outbox panicked")?.context("the peer of an outbox")
        }
    }
}

async fn one(
    address: SocketAddr,
    journal: &Journal,
    accepted: &AtomicU64,
    random: &mut Rng,
) -> anyhow::Result<()> {
    let is_complete = random.u8(..4) > 0;
    let outbox = outbox(address, random)?;
    let (receipts, to_await) = mpsc::channel(2 * COUNT);
    let sending = async {
        let important = send(&outbox, receipts, accepted, random).await?;
        let time = if is_complete { LONGEST } else { Duration::ZERO };
        let report = within("a shutdown", outbox.shutdown(time)).await?;
        anyhow::Ok((important, report))
    };
    let ((important, report), reported) = tokio::try_join!(sending, collect(to_await, journal))?;
    ensure!(
        report.is_complete() || !is_complete,
        "{} messages are left",
        report.undelivered().len()
    );
    if is_complete {
        journal.check_complete(important)?;
    }
    check(&outbox.status(), report.undelivered(), &reported)
}

/// An outbox with random limits.
fn outbox(address: SocketAddr, random: &mut Rng) -> anyhow::Result<Outbox<String>> {
    let confirm = Confirm::by_peer(|text: &String| id(text), LinesCodec::new, meaning);
    let mut builder = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new)
        .confirm(confirm)
        .capacity(BYTES, COUNT)
        .backoff(Backoff::exponential(
            Duration::from_millis(1),
            Duration::from_millis(8),
        )?);
    if random.bool() {
        builder = builder.in_flight(random.usize(1..COUNT));
    }
    if random.bool() {
        builder = builder.ack_timeout(LONGEST / 2);
    }
    Ok(builder.spawn()?)
}

/// Sends some hundred messages, and looks at the status all the time. Returns how many are important.
async fn send(
    outbox: &Outbox<String>,
    receipts: mpsc::Sender<(Note, Receipt<String>)>,
    accepted: &AtomicU64,
    random: &mut Rng,
) -> anyhow::Result<u64> {
    let mut indexes = [0; 2];
    for id in 0..random.u64(..1000) {
        let is_important = random.u8(..4) > 0;
        let index = &mut indexes[usize::from(is_important)];
        let note = Note {
            id,
            is_important,
            index: *index,
        };
        *index += 1;
        let receipt = outbox.send_with(note.text(), note.importance());
        let receipt = within("room in an outbox", receipt).await??;
        accepted.fetch_add(1, Relaxed);
        receipts
            .send((note, receipt))
            .await
            .context("nobody awaits receipts")?;
        let OutboxStatus { queued, bytes, .. } = outbox.status();
        ensure!(
            queued <= COUNT && bytes <= BYTES,
            "an outbox holds {queued} messages, {bytes} bytes"
        );
    }
    Ok(indexes[1])
}

/// Compares the three accounts of what became of the messages.
fn check(status: &OutboxStatus, left: &[String], reported: &Reported) -> anyhow::Result<()> {
    ensure!(
        status.delivered == reported.delivered && status.dropped == reported.dropped,
        "the status is {status:?}; the receipts reported {reported:?}"
    );
    ensure!(
        left == reported.left,
        "the shutdown returned {left:?}; the receipts reported {reported:?}"
    );
    Ok(())
}
