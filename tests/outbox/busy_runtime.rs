//! A runtime that was busy for longer than a limit: what arrived meanwhile counts.
//!
//! The runtime's only worker blocks, and then polls the outbox's task before it has asked the system for events. The task
//! found the limit exceeded, and gave up a connection whose peer had replied in time.

use crate::support::within;
use crate::wire::{by_reply, first_word};
use hangup::outbox::{Builder, Outbox};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::codec::LinesCodec;

/// Longer than the way of a message takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(2);

/// Blocks the worker, and with it all tasks.
fn block(time: Duration) {
    let began = Instant::now();
    while let Some(rest) = time.checked_sub(began.elapsed()) {
        std::thread::park_timeout(rest);
    }
}

/// A peer in a thread, that is asked for each of its steps.
struct Peer {
    address: SocketAddr,
    step: mpsc::Sender<()>,
    done: mpsc::Receiver<()>,
}

impl Peer {
    /// Sends `greeting` at its first step, and confirms one line at each of the next ones.
    fn start(greeting: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ((step, steps), (does, done)) = (mpsc::channel(), mpsc::channel());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut reply = greeting.to_owned();
            while steps.recv().is_ok() {
                if reply.is_empty() {
                    let line = lines.next().unwrap().unwrap();
                    reply = format!("ok {}\n", first_word(&line));
                }
                stream.write_all(reply.as_bytes()).unwrap();
                reply.clear();
                does.send(()).unwrap();
            }
        });
        Self {
            address,
            step,
            done,
        }
    }

    /// Makes a step, while the worker waits.
    fn step(&self) {
        self.step.send(()).unwrap();
        self.done.recv().unwrap();
    }
}

fn outbox(builder: Builder<String>) -> Outbox<String> {
    builder.confirm(by_reply()).spawn().unwrap()
}

#[tokio::test]
async fn a_reply_in_time_ends_no_connection() {
    let peer = Peer::start("");
    let address = peer.address;
    let builder = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new);
    let outbox = outbox(builder.ack_timeout(LIMIT).in_flight(1));
    let mut states = outbox.subscribe();
    let first = outbox.send("1 a".to_string()).await.unwrap();
    let written = states.wait_for(|status| status.unconfirmed == 1);
    drop(within(written).await.unwrap());
    peer.step();
    block(LIMIT + LIMIT / 4);
    // It wakes the outbox's task, which must not write it yet.
    let second = outbox.send("2 a".to_string()).await.unwrap();
    within(first).await.unwrap();
    peer.step();
    within(second).await.unwrap();
    let status = outbox.status();
    assert_eq!((status.connects, status.resent), (1, 0));
}

#[tokio::test]
async fn a_connection_in_time_is_used() {
    let peer = Peer::start("?");
    let address = peer.address;
    let (connects, mut connected) = unbounded_channel();
    let connect = move || {
        let connects = connects.clone();
        async move {
            let mut stream = TcpStream::connect(address).await?;
            connects.send(()).unwrap();
            stream.read_u8().await?;
            Ok(stream)
        }
    };
    let builder = Outbox::builder(connect, LinesCodec::new);
    let outbox = outbox(builder.connect_timeout(LIMIT));
    // So the task is woken by a message.
    let _states = outbox.subscribe();
    within(connected.recv()).await.unwrap();
    peer.step();
    block(LIMIT + LIMIT / 4);
    let receipt = outbox.send("1 a".to_string()).await.unwrap();
    let step = tokio::task::spawn_blocking(move || peer.step());
    within(receipt).await.unwrap();
    within(step).await.unwrap();
    assert_eq!(outbox.status().connects, 1);
}
