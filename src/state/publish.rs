//! Publishes to the watch channel without making the caller wait for its lock.
//!
//! Publishing takes the channel's lock, and whoever holds a [`Ref`](watch::Ref) holds that lock. The watcher would wait
//! for it and meanwhile neglect all other streams of its runtime. A `probe()` by the holder itself would deadlock. So a
//! separate thread publishes. Such threads start on demand, serve all streams, and end when they are idle. A program
//! that never subscribes has none.

use super::status::Status;
use super::sync::lock;
use crate::observe::call_foreign;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// The largest number of threads. If as many channels are held at the same time, the others wait.
const THREADS: usize = 64;

/// How long a thread waits for more work before it ends.
const IDLE: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 5000 });

static WORK: Mutex<Work> = Mutex::new(Work {
    waiting: VecDeque::new(),
    threads: 0,
    idle: 0,
});

static MORE: Condvar = Condvar::new();

struct Work {
    waiting: VecDeque<Publication>,
    threads: usize,
    idle: usize,
}

enum Publication {
    Status(watch::Sender<Status>, Status),
    /// What another channel is to be given.
    #[cfg(feature = "outbox")]
    Other(Box<dyn FnOnce() + Send>),
}

/// Publishes `status`, unless the channel already has a later one by then.
pub(crate) fn publish(channel: watch::Sender<Status>, status: Status) {
    submit(Publication::Status(channel, status));
}

/// Calls `publish`, which may wait for the holder of a [`Ref`](watch::Ref).
#[cfg(feature = "outbox")]
pub(crate) fn publish_by(publish: impl FnOnce() + Send + 'static) {
    submit(Publication::Other(Box::new(publish)));
}

fn submit(publication: Publication) {
    let mut work = lock(&WORK);
    work.waiting.push_back(publication);
    let enough = work.idle >= work.waiting.len() || work.threads >= THREADS;
    work.threads += usize::from(!enough);
    drop(work);
    if enough {
        return MORE.notify_one();
    }
    let publisher = thread::Builder::new().name("hangup-publish".to_owned());
    if publisher.spawn(run).is_err() {
        // The system refuses a new thread. If another one is running, it does the work; otherwise this thread does.
        let mut work = lock(&WORK);
        work.threads -= 1;
        let last = work.threads == 0;
        drop(work);
        if last {
            while let Some(publication) = next() {
                advance(publication);
            }
        }
    }
}

/// Takes the oldest publication. The lock is not held while it is published.
fn next() -> Option<Publication> {
    lock(&WORK).waiting.pop_front()
}

/// A thread that publishes. It ends after it had nothing to do for [`IDLE`].
fn run() {
    loop {
        while let Some(publication) = next() {
            advance(publication);
        }
        let mut work = lock(&WORK);
        if work.waiting.is_empty() {
            work.idle += 1;
            let (woken, waited) = MORE
                .wait_timeout(work, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            work = woken;
            work.idle -= 1;
            if waited.timed_out() && work.waiting.is_empty() {
                work.threads -= 1;
                return;
            }
        }
    }
}

/// Publishes one status. Blocks while a receiver holds the channel, and catches panics of the receivers' wakers.
fn advance(publication: Publication) {
    call_foreign(|| match publication {
        Publication::Status(channel, status) => {
            channel.send_if_modified(|published| published.advance(status));
        }
        #[cfg(feature = "outbox")]
        Publication::Other(publish) => publish(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// If a thread were counted after its end, or counted as idle twice, the next status would wait for it forever.
    #[test]
    #[cfg_attr(
        miri,
        ignore = "its threads outlive the tests, which Miri takes for a fault"
    )]
    fn threads_are_counted_until_they_end() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let wait_until = |reached: &dyn Fn(&Work) -> bool| {
            loop {
                let work = lock(&WORK);
                assert!(work.idle <= work.threads);
                if reached(&work) {
                    break;
                }
                drop(work);
                assert!(Instant::now() < deadline, "no thread does it");
                thread::yield_now();
            }
        };
        for _ in 0..20 {
            let channel = watch::Sender::new(Status::Open);
            let status = channel.subscribe();
            publish(channel, Status::PeerFinished);
            // The next round wakes the thread, or finds that it has ended.
            wait_until(&|work| {
                let published = *status.borrow() == Status::PeerFinished;
                published && (work.idle > 0 || work.threads == 0)
            });
        }
        wait_until(&|work| work.threads == 0);
    }
}
