//! `kill -9` of a durable outbox's process at random moments: what it had accepted arrives, in order.
//!
//! The sender is this test program once more. It says on a pipe what `send` has accepted. The peer is in the
//! test; it cuts connections at random too, before it has answered.
#![cfg(all(feature = "durable", unix))]

use bytes::{BufMut, Bytes, BytesMut};
use hangup::outbox::{Backoff, Confirm, DiskStore, Fsync, Outbox, Processed};
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tokio_util::codec::LengthDelimitedCodec;

const DEADLINE: Duration = Duration::from_secs(30);

/// What the sender is told: the store's path, the peer's address, and how its ids begin.
const SENDER: &str = "HANGUP_KILL_SENDER";

/// Ids grow from round to round, and within one.
fn id(round: u64, count: u64) -> u64 {
    round << 32 | count
}

fn message(id: u64) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u64(id);
    message.put_bytes(id as u8, (id.wrapping_mul(7919) % 2000) as usize);
    message.freeze()
}

fn named(message: &[u8]) -> u64 {
    u64::from_be_bytes(message[..8].try_into().unwrap())
}

/// What the peer got, in order, repeats left out.
#[derive(Default)]
struct Arrived {
    order: Vec<u64>,
    seen: HashSet<u64>,
    repeats: u64,
    connections: u64,
}

fn serve(listener: TcpListener, arrived: &Mutex<Arrived>, mut random: fastrand::Rng) {
    for stream in listener.incoming() {
        arrived.lock().unwrap().connections += 1;
        let messages = 1 + random.u64(..400);
        // The sender may be killed in the middle of a message.
        let _ = converse(stream.unwrap(), messages, arrived);
    }
}

fn converse(mut stream: TcpStream, messages: u64, arrived: &Mutex<Arrived>) -> io::Result<()> {
    for count in 1..=messages {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut got = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut got)?;
        let id = named(&got);
        assert!(got == message(id), "{id:x} is changed");
        let mut arrived = arrived.lock().unwrap();
        if arrived.seen.insert(id) {
            arrived.order.push(id);
        } else {
            arrived.repeats += 1;
        }
        drop(arrived);
        if count < messages {
            let mut reply = 8u32.to_be_bytes().to_vec();
            reply.put_u64(id);
            stream.write_all(&reply)?;
        }
    }
    Ok(())
}

/// The sender's side. As a test of its own it has nothing to do.
#[test]
fn sender() {
    let Ok(told) = std::env::var(SENDER) else {
        return;
    };
    let mut told = told.split(' ');
    let (path, peer, round, fsync) = (
        told.next().unwrap(),
        told.next().unwrap().parse::<SocketAddr>().unwrap(),
        told.next().unwrap(),
        match told.next().unwrap() {
            "Each" => Fsync::Each,
            _ => Fsync::Never,
        },
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let millis = Duration::from_millis;
        let outbox = Outbox::builder(
            move || tokio::net::TcpStream::connect(peer),
            LengthDelimitedCodec::new,
        )
        .confirm(Confirm::by_peer(
            |message: &Bytes| named(message),
            LengthDelimitedCodec::new,
            |reply: BytesMut| Some(Processed::UpTo(named(&reply))),
        ))
        .backoff(Backoff::exponential(millis(1), millis(10)).unwrap())
        .durable(DiskStore::open(path, fsync).unwrap())
        .spawn()
        .unwrap();
        if round == "last" {
            let left = outbox.shutdown(DEADLINE).await;
            say(&format!(
                "left {}",
                left.undelivered().len() as u64 + left.on_disk()
            ));
            return;
        }
        let round = round.parse().unwrap();
        for count in (0..).step_by(4) {
            let send = |more| outbox.send(message(id(round, count + more)));
            // Four at once, so that they share a commit now and then; polled in this order.
            let receipts = tokio::join!(biased; send(0), send(1), send(2), send(3));
            drop(receipts.0.unwrap());
            drop(receipts.1.unwrap());
            drop(receipts.2.unwrap());
            drop(receipts.3.unwrap());
            for more in 0..4 {
                say(&format!("accepted {}", id(round, count + more)));
            }
        }
    });
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Starts the sender, and tells its lines.
fn start(told: String) -> (Child, Receiver<String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::sender", "--exact", "--nocapture", "--test-threads=1"])
        .env(SENDER, told)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    (child, receiver)
}

fn accepted(line: &str) -> Option<u64> {
    // The harness may have begun the line.
    Some(line.split("accepted ").nth(1)?.parse().unwrap())
}

fn kills(count: u64, fsync: Fsync) {
    let directory =
        std::env::temp_dir().join(format!("hangup-kill-{fsync:?}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path: PathBuf = directory.join("outbox");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = listener.local_addr().unwrap();
    let arrived = Arc::new(Mutex::new(Arrived::default()));
    let seed = Instant::now().elapsed().as_nanos() as u64
        ^ std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (seen, dice) = (arrived.clone(), random.clone());
    thread::spawn(move || serve(listener, &seen, dice));
    let told = |round: &str| format!("{} {peer} {round} {fsync:?}", path.display());

    let mut promised = Vec::new();
    let mut idle = 0;
    for round in 0..count {
        let (mut child, lines) = start(told(&round.to_string()));
        // In one round of four while it starts; in the others after it has begun to send.
        let starting = random.u64(..4) == 0;
        // Long enough for what is confirmed to be forgotten now and then.
        let moment = Duration::from_micros(random.u64(..300_000));
        let mut until = Instant::now() + if starting { moment } else { DEADLINE };
        let before = promised.len();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    promised.extend(accepted(&line));
                    if promised.len() == before + 1 {
                        until = Instant::now() + moment;
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => panic!("the sender has ended"),
            }
        }
        child.kill().unwrap();
        // What it said before it was killed counts.
        promised.extend(lines.iter().filter_map(|line| accepted(&line)));
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        idle += u64::from(promised.len() == before);
    }
    let (mut child, lines) = start(told("last"));
    let left: Vec<String> = lines.iter().filter(|line| line.contains("left ")).collect();
    assert!(child.wait().unwrap().success());
    assert_eq!(left.len(), 1);
    assert!(left[0].ends_with("left 0"), "{left:?}");

    let arrived = arrived.lock().unwrap();
    println!(
        "{count} kills, {idle} of them before anything was accepted; accepted {}, arrived {}, \
         repeated {}, connections {}",
        promised.len(),
        arrived.order.len(),
        arrived.repeats,
        arrived.connections
    );
    for id in &promised {
        assert!(arrived.seen.contains(id), "{id:x} is lost");
    }
    let swapped = arrived.order.windows(2).position(|ids| ids[0] > ids[1]);
    if let Some(at) = swapped {
        let from = at.saturating_sub(3);
        let around = &arrived.order[from..(at + 8).min(arrived.order.len())];
        panic!("out of order at {at}: {around:x?}");
    }
    assert!(!promised.is_empty());
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn what_was_accepted_survives_kill_9() {
    let count = std::env::var("HANGUP_KILLS").map_or(10, |count| count.parse().unwrap());
    kills(count, Fsync::Each);
    kills(count, Fsync::Never);
}
