//! One run: a sender, the outbox, the proxy that cuts, and the peer.

use crate::cuts::{Cut, Plan};
use crate::cutting::Manners;
use crate::memory::{Peak, resident};
use crate::message::{MEAN, Mix, id, message};
use crate::peer::{Ids, Known, Peer, Replies};
use crate::proxy::{Proxy, Tally};
use bytes::Bytes;
use hangup::outbox::{Backoff, Confirm, Delivered, Outbox, Processed, Receipt, UndeliveredReason};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::codec::LengthDelimitedCodec;

/// For one message: no machine is that slow.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the outbox may hold, in bytes and in messages.
const BYTES: usize = 1024 * 1024;
const COUNT: usize = 1024;

/// The most that all of the program together may have allocated beyond what it had before: the outbox's
/// messages, what the encoder has made of some of them, and the buffers of the proxy and the peer.
const MEMORY: usize = 8 * 1024 * 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) messages: u64,
    pub(crate) cuts: u64,
    pub(crate) seed: u64,
    /// How long a black hole holds the connection, at the most.
    pub(crate) hold: Duration,
    pub(crate) mix: Mix,
    pub(crate) replies: Replies,
    /// Of the outbox's sockets; the system's choice if there is none.
    pub(crate) send_buffer: Option<u32>,
}

/// What became of the receipts.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    pub(crate) delivered: u64,
    pub(crate) expired: u64,
    pub(crate) unconfirmed: u64,
}

/// What a run has shown. That nothing was lost, damaged or confused is asserted while it runs.
#[derive(Debug)]
pub(crate) struct Outcome {
    settings: Settings,
    pub(crate) tally: Arc<Tally>,
    pub(crate) connections: u64,
    pub(crate) mid_message: u64,
    pub(crate) duplicates: u64,
    pub(crate) best_effort: u64,
    pub(crate) receipts: Receipts,
    pub(crate) resent: u64,
    pub(crate) peak: usize,
    took: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { messages, .. } = self.settings;
        let of = |cut| self.tally.of(cut);
        write!(
            f,
            "{messages} messages, {} MB, in {:.1} s; {} cuts ({} FIN, {} RST, {} black holes; {} at least \
             within a message), {} connections; {} resent, {} duplicates; peak {} KiB allocated",
            messages * MEAN / 1_000_000,
            self.took.as_secs_f64(),
            self.tally.all(),
            of(Cut::Fin),
            of(Cut::Reset),
            of(Cut::BlackHole),
            self.mid_message,
            self.connections,
            self.resent,
            self.duplicates,
            self.peak / 1024,
        )?;
        if let Some(resident) = resident() {
            write!(f, ", {resident} KiB resident")?;
        }
        if self.settings.mix != Mix::AllImportant {
            write!(
                f,
                "; of the best-effort messages {} arrived, {} expired, {} were lost with a connection",
                self.best_effort, self.receipts.expired, self.receipts.unconfirmed
            )?;
        }
        Ok(())
    }
}

/// Sends everything through all the cuts.
pub(crate) async fn run(settings: Settings) -> Outcome {
    let began = Instant::now();
    let known = Arc::new(Known::default());
    let peer = Peer::bind(settings.mix, settings.replies, known.clone())
        .await
        .unwrap();
    // A cut throws away up to what the outbox holds, so all of them come before the last message.
    let up = settings.messages * MEAN / settings.cuts * 3 / 5;
    let plan = Plan::new(settings.seed, settings.cuts, up, settings.hold);
    let (plan, manners) = match settings.replies {
        Replies::None => (plan, Manners::Gentle),
        Replies::Each => (plan.in_replies(up / MEAN * 8 / 2), Manners::Rude),
        Replies::Batches => (plan.in_replies(up / MEAN * 8 / 16), Manners::Rude),
    };
    let proxy = Proxy::bind(peer.listener().local_addr().unwrap(), plan, manners)
        .await
        .unwrap();
    let (seen, tally) = (peer.seen(), proxy.tally());
    let outbox = outbox(settings, proxy.address().unwrap(), known.clone());
    let mut servers = tokio::task::JoinSet::new();
    servers.spawn(peer.run());
    servers.spawn(async {
        proxy.run(|error| panic!("{error}")).await;
        Ok(())
    });

    let (receipts, to_await) = mpsc::channel(COUNT);
    let awaiting = tokio::spawn(collect(settings, to_await, known.clone()));
    let mut peak = Peak::new();
    for id in 0..settings.messages {
        let importance = settings.mix.importance(id);
        let sending = outbox.send_with(message(id), importance);
        let receipt = tokio::select! {
            receipt = timeout(DEADLINE, sending) => receipt.expect("room for a message").unwrap(),
            // Their checks fail by panicking.
            Some(ended) = servers.join_next() => panic!("{ended:?}"),
        };
        if settings.mix.importance(id) != hangup::outbox::Importance::Important {
            known.accepted.lock().unwrap().insert(id, Instant::now());
        }
        receipts.send((id, receipt)).await.unwrap();
        peak.look();
    }
    drop(receipts);
    let receipts = tokio::select! {
        receipts = awaiting => receipts.unwrap(),
        Some(ended) = servers.join_next() => panic!("{ended:?}"),
    };
    let resent = outbox.status().resent;
    assert!(outbox.shutdown(DEADLINE).await.is_complete());
    // What TCP has acknowledged may still be under way within the gentle proxy.
    let all = settings.mix.next_important(settings.messages - 1);
    let everything = async {
        while known.processed.load(Ordering::SeqCst) < all {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DEADLINE, everything).await.unwrap_or_else(|_| {
        let processed = known.processed.load(Ordering::SeqCst);
        panic!("confirmed, and lost: from {processed} on")
    });

    let seen = seen.lock().unwrap();
    let outcome = Outcome {
        settings,
        tally,
        connections: seen.connections,
        mid_message: seen.mid_message,
        duplicates: seen.duplicates,
        best_effort: seen.best_effort,
        receipts,
        resent,
        peak: peak.bytes(),
        took: began.elapsed(),
    };
    println!("{outcome}");
    assert!(outcome.tally.all() >= settings.cuts, "{outcome}");
    assert!(outcome.peak <= MEMORY, "{outcome}");
    outcome
}

fn outbox(settings: Settings, proxy: SocketAddr, known: Arc<Known>) -> Outbox<Bytes> {
    let given = known.clone();
    let confirm = match settings.replies {
        Replies::None => Confirm::Acknowledged,
        Replies::Each => Confirm::by_peer(
            |message: &Bytes| id(message),
            || Ids,
            move |id| {
                given.confirmed.fetch_max(id + 1, Ordering::SeqCst);
                Some(Processed::One(id))
            },
        ),
        Replies::Batches => Confirm::by_peer(
            |message: &Bytes| id(message),
            || Ids,
            move |id| {
                given.confirmed.fetch_max(id + 1, Ordering::SeqCst);
                Some(Processed::UpTo(id))
            },
        ),
    };
    let connect = move || {
        // The listeners' queues keep the order of the connections.
        let confirmed = known.confirmed.load(Ordering::SeqCst);
        known.connections.lock().unwrap().push_back(confirmed);
        async move {
            let socket = TcpSocket::new_v4()?;
            if let Some(bytes) = settings.send_buffer {
                socket.set_send_buffer_size(bytes)?;
            }
            socket.connect(proxy).await
        }
    };
    Outbox::builder(connect, LengthDelimitedCodec::new)
        .confirm(confirm)
        .capacity(BYTES, COUNT)
        .backoff(Backoff::exponential(Duration::from_millis(2), Duration::from_millis(20)).unwrap())
        .spawn()
        .unwrap()
}

/// Awaits the receipts, in the order of the messages.
async fn collect(
    settings: Settings,
    mut receipts: mpsc::Receiver<(u64, Receipt<Bytes>)>,
    known: Arc<Known>,
) -> Receipts {
    let mut fates = Receipts::default();
    while let Some((id, receipt)) = receipts.recv().await {
        let planned = timeout(DEADLINE, receipt).await;
        match planned.unwrap_or_else(|_| panic!("no receipt for {id} after {DEADLINE:?}")) {
            Ok(Delivered { .. }) => {
                fates.delivered += 1;
                if settings.replies == Replies::None {
                    known.confirmed.fetch_max(id + 1, Ordering::SeqCst);
                } else if settings.mix.is_important(id) {
                    let processed = known.processed.load(Ordering::SeqCst);
                    assert!(id < processed, "{id} is delivered, and {processed} is not");
                }
            }
            Err(undelivered) => {
                assert!(!settings.mix.is_important(id), "{id}: {undelivered}");
                assert!(*undelivered.message() == message(id));
                known.accepted.lock().unwrap().remove(&id);
                match undelivered.reason() {
                    UndeliveredReason::Expired => fates.expired += 1,
                    UndeliveredReason::Unconfirmed => fates.unconfirmed += 1,
                    reason => panic!("{id}: {reason}"),
                }
            }
        }
    }
    fates
}
