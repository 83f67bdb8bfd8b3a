//! Many threads use one outbox, whose connections are cut and whose encoder fails and panics in the middle of a batch.

use crate::support::lacks;
use bytes::{BufMut, Bytes, BytesMut};
use futures::FutureExt;
use futures::executor::block_on;
use hangup::outbox::*;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;
use tokio_util::codec::Encoder;

const THREADS: u8 = 4;
const LONG: Duration = Duration::from_secs(120);

/// The thread that sends a message, and its number there.
type Name = (u8, u32);

/// What the encoder does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    /// It becomes no bytes.
    Empty,
    /// It is refused after some bytes of it.
    Refused,
    Panics,
}

const KINDS: [Kind; 4] = [Kind::Whole, Kind::Empty, Kind::Refused, Kind::Panics];

/// The kind, the name, and as many bytes as make `size`.
fn message(kind: Kind, (thread, number): Name, size: usize) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(kind as u8);
    message.put_u8(thread);
    message.put_u32(number);
    message.resize(size.max(message.len()), number as u8);
    message.freeze()
}

fn name(message: &[u8]) -> Name {
    let number = message[2..6].try_into().unwrap();
    (message[1], u32::from_be_bytes(number))
}

/// A length, and the message.
struct Fragile;

impl Encoder<Bytes> for Fragile {
    type Error = io::Error;

    fn encode(&mut self, message: Bytes, output: &mut BytesMut) -> io::Result<()> {
        let kind = KINDS[usize::from(message[0])];
        if kind == Kind::Empty {
            return Ok(());
        }
        output.put_u32(message.len() as u32);
        if kind == Kind::Refused {
            return Err(io::Error::other("refused on purpose"));
        }
        output.extend_from_slice(&message);
        if kind == Kind::Panics {
            // As a panic, without its message.
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        Ok(())
    }
}

/// Reads the messages of each connection to its end. Ends most connections itself, after some messages. A message that is not
/// whole ends the program: without the peer everybody would wait for ever.
fn peer(listener: TcpListener, is_over: Arc<AtomicBool>) -> thread::JoinHandle<Vec<Name>> {
    thread::spawn(move || {
        let mut seen = Vec::new();
        let mut random = fastrand::Rng::with_seed(7);
        while let Ok((mut stream, _)) = listener.accept() {
            if is_over.load(SeqCst) {
                break;
            }
            let most = random.usize(1..2000);
            let before = seen.len();
            while let Some(name) = read(&mut stream) {
                seen.push(name);
                if seen.len() == before + most {
                    let _ = stream.shutdown(Shutdown::Write);
                }
            }
        }
        seen
    })
}

/// The next message, unless the connection ends in it.
fn read(stream: &mut TcpStream) -> Option<Name> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let length = u32::from_be_bytes(length);
    let mut message = vec![0; length.min(200_000) as usize];
    stream.read_exact(&mut message).ok()?;
    let name = name(&message);
    let is_whole = message[0] == Kind::Whole as u8 && length <= 100_000;
    if !is_whole || message[6..].iter().any(|byte| *byte != name.1 as u8) {
        eprintln!("a message that is not whole: {name:?}, {length} bytes");
        std::process::abort();
    }
    Some(name)
}

struct Sent {
    kind: Kind,
    is_best_effort: bool,
}

type Receipts = Sender<(Name, Receipt<Bytes>)>;

/// Sends messages of all kinds. Some receipts go to `awaited`, some to `dropped`, and some are polled and dropped here.
fn send(
    outbox: &Outbox<Bytes>,
    (thread, messages): (u8, u32),
    awaited: &Receipts,
    dropped: &Receipts,
) -> HashMap<Name, Sent> {
    let mut random = fastrand::Rng::with_seed(thread.into());
    let mut all = HashMap::new();
    for number in 0..messages {
        let name = (thread, number);
        let kind = match random.u8(..) {
            0 => Kind::Panics,
            1..4 => Kind::Refused,
            4..20 => Kind::Empty,
            _ => Kind::Whole,
        };
        let size = match random.u8(..) {
            // More than a batch.
            0..4 => 100_000,
            _ => random.usize(6..200),
        };
        let limit = Duration::from_millis(random.u64(1..20));
        let importance = match random.u8(..8) {
            0 => Importance::BestEffort { ttl: limit },
            1 => Importance::important_for(limit),
            _ => Importance::Important,
        };
        let mut sending = pin!(outbox.send_with(message(kind, name, size), importance));
        let sent = match random.bool() {
            true => match (&mut sending).now_or_never() {
                Some(sent) => sent,
                // Given up while it waits.
                None if random.bool() => continue,
                None => block_on(sending),
            },
            false => block_on(sending),
        };
        let Ok(receipt) = sent else {
            // The outbox has ended.
            break;
        };
        let is_best_effort = matches!(importance, Importance::BestEffort { .. });
        let sent = Sent {
            kind,
            is_best_effort,
        };
        all.insert(name, sent);
        match random.u8(..3) {
            0 => awaited.send((name, receipt)).unwrap(),
            1 => dropped.send((name, receipt)).unwrap(),
            _ => drop(receipt.now_or_never()),
        }
    }
    all
}

type Outcome = (Name, Result<Delivered, UndeliveredError<Bytes>>);

/// What the receipts tell.
fn outcomes(receipts: Receiver<(Name, Receipt<Bytes>)>) -> thread::JoinHandle<Vec<Outcome>> {
    thread::spawn(move || {
        let receipts = receipts.into_iter();
        receipts
            .map(|(name, receipt)| (name, block_on(receipt)))
            .collect()
    })
}

/// Holds the status again and again, in a runtime of its own, until the channel closes. The counts never go down.
fn subscriber(outbox: &Outbox<Bytes>) -> thread::JoinHandle<()> {
    let mut states = outbox.subscribe();
    thread::spawn(move || {
        let (mut delivered, mut dropped) = (0, 0);
        while block_on(states.changed()).is_ok() {
            let status = states.borrow_and_update();
            assert!(status.delivered >= delivered && status.dropped >= dropped);
            (delivered, dropped) = (status.delivered, status.dropped);
            thread::park_timeout(Duration::from_millis(2));
        }
    })
}

fn outbox(address: SocketAddr) -> Outbox<Bytes> {
    Outbox::builder(move || tokio::net::TcpStream::connect(address), || Fragile)
        .capacity(1 << 20, 200)
        .backoff(std::iter::repeat(Duration::from_millis(1)))
        .spawn()
        .unwrap()
}

/// All threads send so many messages, or until the outbox has ended. Returns what they sent, and what the receipts told.
fn crowd(
    outbox: &Outbox<Bytes>,
    messages: u32,
    meanwhile: impl FnOnce(),
) -> (HashMap<Name, Sent>, Vec<Outcome>) {
    let (awaited, awaiting) = channel();
    let (dropped, dropping) = channel();
    let subscriber = subscriber(outbox);
    let awaiter = outcomes(awaiting);
    let dropper = thread::spawn(move || dropping.into_iter().for_each(drop));
    let sent = thread::scope(|scope| {
        let senders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (outbox, awaited, dropped) = (outbox.clone(), &awaited, &dropped);
                scope.spawn(move || send(&outbox, (thread, messages), awaited, dropped))
            })
            .collect();
        meanwhile();
        let sent = senders.into_iter().map(|sender| sender.join().unwrap());
        sent.flatten().collect()
    });
    drop((awaited, dropped));
    dropper.join().unwrap();
    let outcomes = awaiter.join().unwrap();
    drop(subscriber);
    (sent, outcomes)
}

/// The peer of an outbox.
struct Peer {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<Name>>,
}

impl Peer {
    /// After the outbox has ended: what has arrived.
    fn end(self) -> Vec<Name> {
        self.is_over.store(true, SeqCst);
        drop(TcpStream::connect(self.address));
        self.thread.join().unwrap()
    }
}

/// A peer, and an outbox that sends to it, in a runtime of its own.
fn start() -> (Peer, tokio::runtime::Runtime, Outbox<Bytes>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let peer = Peer {
        address,
        thread: peer(listener, is_over.clone()),
        is_over,
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let outbox = {
        let _context = runtime.enter();
        outbox(address)
    };
    (peer, runtime, outbox)
}

#[test]
fn each_message_has_one_outcome_and_it_is_true() {
    if lacks(
        "acknowledged",
        "each_message_has_one_outcome_and_it_is_true",
    ) {
        return;
    }
    let (peer, runtime, outbox) = start();
    let (sent, outcomes) = crowd(&outbox, 1000, || ());
    let report = block_on(outbox.shutdown(LONG));
    assert!(report.is_complete(), "{report:?}");
    let status = outbox.status();
    assert_eq!((status.queued, status.bytes), (0, 0));
    assert_eq!(status.delivered + status.dropped, sent.len() as u64);
    drop((outbox, runtime));
    let seen = peer.end();

    let mut first = HashSet::new();
    let mut last = [None; THREADS as usize];
    for name in &seen {
        let is_new = first.insert(*name);
        let (sent, last) = (&sent[name], &mut last[usize::from(name.0)]);
        assert!(is_new || !sent.is_best_effort, "{name:?} came twice");
        if is_new {
            assert!(last.is_none_or(|last| last < name.1), "{name:?}, {last:?}");
            *last = Some(name.1);
        }
    }
    assert!(!outcomes.is_empty());
    for (name, outcome) in outcomes {
        let kind = sent[&name].kind;
        match outcome {
            Ok(_) => match kind {
                Kind::Whole => assert!(first.contains(&name), "{name:?} has not arrived"),
                Kind::Empty => {}
                Kind::Refused | Kind::Panics => panic!("{name:?} was not encoded"),
            },
            Err(error) => {
                assert_eq!(self::name(error.message()), name);
                let encode_failed = matches!(error.reason(), UndeliveredReason::EncodeFailed(_));
                let expected = matches!(kind, Kind::Refused | Kind::Panics);
                assert!(expected || !encode_failed, "{name:?}: {error}");
            }
        }
    }
}

/// The runtime of the outbox goes, or the outbox is shut down, while everybody sends: nobody waits for ever.
#[test]
fn the_end_comes_to_everybody() {
    if lacks("acknowledged", "the_end_comes_to_everybody") {
        return;
    }
    for is_shut_down in [false, true] {
        let (peer, runtime, outbox) = start();
        let mut runtime = Some(runtime);
        let (sent, outcomes) = crowd(&outbox, u32::MAX, || {
            let mut states = outbox.subscribe();
            let some = |status: &OutboxStatus| status.delivered > 500;
            drop(block_on(states.wait_for(some)).unwrap());
            match is_shut_down {
                true => drop(block_on(outbox.shutdown(Duration::from_millis(1)))),
                false => drop(runtime.take()),
            }
        });
        assert!(sent.len() > 500);
        assert!(outcomes.iter().any(|(_, outcome)| outcome.is_ok()));
        drop((outbox, runtime));
        peer.end();
    }
}
