//! Senders wait until their message is kept, as `Outbox::send` does; one thread puts all that wait into one
//! commit, and removes what it has kept after a tenth of a second. SQLite does so with a write-ahead log and
//! `synchronous` at `FULL` for `Fsync::Each`, and at `OFF` for `Fsync::Never`. redb alone shows what the store adds to
//! its database.

use super::database::Redb;
use super::sqlite::Sqlite;
use bytes::Bytes;
use hangup::outbox::{Fsync, Store, StoreOptions};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

const ROUND: Duration = Duration::from_millis(300);
/// The size of a message.
pub(crate) const MESSAGE: usize = 100;
/// What was kept this long ago is removed, as the outbox does with what is confirmed.
const DELIVERED: Duration = Duration::from_millis(100);

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;
pub(crate) type Open = fn(&Path, Fsync) -> Result<Box<dyn Store>>;

pub(crate) const STORES: [(&str, Open); 3] = [
    ("hangup", |path, fsync| {
        Ok(Box::new(StoreOptions::new().fsync(fsync).open(path)?))
    }),
    ("redb", |path, fsync| Ok(Box::new(Redb::open(path, fsync)?))),
    ("sqlite", |path, fsync| {
        Ok(Box::new(Sqlite::open(path, fsync)?))
    }),
];

type Waiting = SyncSender<()>;

/// What a round has shown of a store.
pub(crate) struct Round {
    /// Messages a second that the store keeps.
    pub(crate) rate: f64,
    /// Bytes written for each.
    pub(crate) written: f64,
    /// CPU time of the thread that calls the store, for each, in microseconds.
    pub(crate) cpu: f64,
}

pub(crate) fn run(store: Box<dyn Store>, senders: usize) -> Result<Round> {
    let (jobs, queue) = mpsc::channel::<Waiting>();
    let before = written()?;
    let start = Instant::now();
    let threads: Vec<_> = (0..senders)
        .map(|_| {
            let jobs = jobs.clone();
            thread::spawn(move || {
                let (kept, receiver) = mpsc::sync_channel(1);
                let mut count = 0_u64;
                while start.elapsed() < ROUND && jobs.send(kept.clone()).is_ok() {
                    if receiver.recv().is_err() {
                        break;
                    }
                    count += 1;
                }
                count
            })
        })
        .collect();
    drop(jobs);
    let busy = cpu()?;
    keep(store, &queue)?;
    let busy = cpu()? - busy;
    let mut count = 0;
    for thread in threads {
        count += thread.join().map_err(|_| "a sender panicked")?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let count = count as f64;
    Ok(Round {
        rate: count / seconds,
        written: (written()? - before) as f64 / count,
        cpu: busy as f64 / 1000.0 / count,
    })
}

fn keep(mut store: Box<dyn Store>, queue: &Receiver<Waiting>) -> Result<()> {
    let mut next = 0;
    let mut delivered = 0;
    let mut due = Instant::now() + DELIVERED;
    while let Ok(first) = queue.recv() {
        let waiting: Vec<Waiting> = std::iter::once(first).chain(queue.try_iter()).collect();
        let batch: Vec<(u64, Bytes)> = (next..next + waiting.len() as u64)
            .map(|number| (number, Bytes::from(vec![number as u8; MESSAGE])))
            .collect();
        store.append(&batch)?;
        next += batch.len() as u64;
        for kept in waiting {
            let _ = kept.send(());
        }
        if Instant::now() >= due {
            store.remove(&(delivered..next).collect::<Vec<_>>())?;
            delivered = next;
            due = Instant::now() + DELIVERED;
        }
    }
    Ok(())
}

/// Bytes that this process has given to `write(2)` and its like.
fn written() -> Result<u64> {
    let io = fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.ok_or("no wchar")?.parse()?)
}

/// Nanoseconds that this thread has run (proc(5): the first number of `schedstat`).
fn cpu() -> Result<u64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split(' ').next().ok_or("no schedstat")?.parse()?)
}
