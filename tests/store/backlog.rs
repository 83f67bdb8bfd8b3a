//! A backlog that is far larger than memory may be: taken in, held and delivered.
//!
//! `HANGUP_BACKLOG` is its size in MiB, 2048 by default. It needs that much disk space and a half more. In a process of its own:
//!
//! ```sh
//! cargo test --release --features durable --test store -- --ignored --exact --nocapture \
//!     backlog::a_backlog_of_gigabytes_needs_little_memory
//! ```

#![cfg(feature = "durable")]

use super::behind_outbox::{accept, next, number, numbered, to};
use super::directory::Directory;
use crate::support::listener;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use hangup::outbox::*;
use std::time::{Duration, Instant};
use std::{fs, io};
use tokio::net::TcpStream;
use tokio_util::codec::LengthDelimitedCodec;

const SIZE: usize = 4000;
const SENDERS: usize = 256;
const MIB: u64 = 1 << 20;

/// The most memory that any phase may take.
const MOST: u64 = 64 * MIB;

fn message(number: u64) -> Bytes {
    let mut message = BytesMut::with_capacity(SIZE);
    message.put_u64(number);
    message.resize(SIZE, 7);
    message.freeze()
}

/// The most memory since the last call, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    // Resets it, see proc_pid_clear_refs(5).
    fs::write("/proc/self/clear_refs", "5").unwrap();
    words[1].parse::<u64>().unwrap() * 1024
}

struct Phase {
    name: &'static str,
    began: Instant,
}

impl Phase {
    fn begin(name: &'static str) -> Self {
        peak();
        Self {
            name,
            began: Instant::now(),
        }
    }

    fn end(self) {
        let (took, peak) = (self.began.elapsed(), peak());
        println!("{:<12} {took:>8.1?}, at most {} MiB", self.name, peak / MIB);
        assert!(peak < MOST, "{}: {peak} bytes", self.name);
    }
}

fn open(directory: &Directory) -> DiskStore {
    DiskStore::open(directory.file(), Fsync::Never).unwrap()
}

fn file_size(directory: &Directory) -> u64 {
    fs::metadata(directory.file()).unwrap().len()
}

#[tokio::test]
#[ignore = "takes minutes, and gigabytes of disk space"]
async fn a_backlog_of_gigabytes_needs_little_memory() {
    let mib = std::env::var("HANGUP_BACKLOG").map_or(2048, |mib| mib.parse().unwrap());
    let count = mib * MIB / SIZE as u64;
    let directory = Directory::new("backlog");
    println!("{count} messages of {SIZE} bytes");

    let phase = Phase::begin("taken in");
    let away = || async { Err::<TcpStream, _>(io::ErrorKind::ConnectionRefused.into()) };
    let outbox = Outbox::builder(away, LengthDelimitedCodec::new)
        .confirm(Confirm::by_peer(
            |message: &Bytes| number(message),
            LengthDelimitedCodec::new,
            |reply: BytesMut| Some(Processed::One(number(reply))),
        ))
        .durable(open(&directory))
        .spawn()
        .unwrap();
    let first = &outbox;
    // Sends that wait together are accepted in any order: the message of each number of the outbox.
    let mut order = vec![0_u32; usize::try_from(count).unwrap()];
    let mut sends = futures::stream::iter(0..count)
        .map(|number| async move { (number, first.send(message(number)).await) })
        .buffer_unordered(SENDERS);
    while let Some((number, sent)) = sends.next().await {
        let place = usize::try_from(sent.unwrap().number()).unwrap();
        order[place] = number.try_into().unwrap();
    }
    drop(sends);
    phase.end();

    let phase = Phase::begin("held");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(first.status().queued as u64, count);
    let report = first.shutdown(Duration::ZERO).await;
    assert_eq!(report.undelivered().len() as u64 + report.on_disk(), count);
    drop((report, outbox));
    phase.end();
    println!("file         {} MiB", file_size(&directory) / MIB);

    let phase = Phase::begin("opened");
    let store = open(&directory);
    let (listener, address) = listener().await;
    let second = to(address).durable(store).spawn().unwrap();
    phase.end();

    let phase = Phase::begin("delivered");
    let mut peer = accept(&listener).await;
    for expected in order {
        assert_eq!(next(&mut peer).await, u64::from(expected));
        peer.send(numbered(expected.into())).await.unwrap();
    }
    let report = second.shutdown(Duration::from_secs(60)).await;
    assert!(report.is_complete() && report.is_store_closed());
    drop(second);
    phase.end();
    println!("file         {} KiB", file_size(&directory) / 1024);
    assert!(file_size(&directory) < MIB);
    assert_eq!(open(&directory).totals().unwrap(), (0, 0));
}
