//! The calls of a durable outbox's store, on a thread of their own or on the outbox's task.
//!
//! All messages that wait when a commit is done go into the next one. Confirmed messages are removed late, many
//! at once: after a crash they are delivered once more.

use super::shared::OutboxShared;
use super::store_jobs::{Job, StoreJobs, Stored};
use crate::outbox::message::Message;
use crate::outbox::refused::{NotStoredReason, OutboxError, RefusedReason};
use crate::outbox::store::Store;
use crate::outbox::user_code;
use bytes::Bytes;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// The longest delay before confirmed messages leave the store.
const LATE: Duration = Duration::from_millis(100);

/// This many confirmed messages leave the store without a delay, and at most this many in one call.
const MANY: usize = 4096;

/// The first delay after a removal that failed. It doubles with each failure in a row, up to `LAST_RETRY`.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// While removals fail no more numbers than this are remembered: 8 MiB. The others are delivered once more.
const MOST_REMOVED: usize = 1 << 20;

/// A commit has at most this many messages and bytes, or one message.
const BATCH: usize = 1024;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct StoreWriter<T: Message> {
    /// `None` after a panic: what it left half-made is not touched again.
    store: Option<Box<dyn Store>>,
    jobs: Receiver<Job<T>>,
    shared: Weak<OutboxShared<T>>,
    batch: Vec<(u64, Bytes)>,
    senders: Vec<oneshot::Sender<Stored<T>>>,
    bytes: usize,
    removed: Vec<u64>,
    buried: Vec<(u64, String)>,
    /// When `removed` leaves the store.
    due: Option<Instant>,
    retry: Duration,
    /// Its channel closes when this is dropped.
    _ended: watch::Sender<()>,
}

impl<T: Message> StoreWriter<T> {
    pub(crate) fn new(
        store: Box<dyn Store>,
        shared: &Arc<OutboxShared<T>>,
        on_task: bool,
    ) -> (Self, StoreJobs<T>) {
        let (sender, jobs) = mpsc::channel();
        let (ended, end) = watch::channel(());
        let writer = Self {
            store: Some(store),
            jobs,
            shared: Arc::downgrade(shared),
            batch: Vec::new(),
            senders: Vec::new(),
            bytes: 0,
            removed: Vec::new(),
            buried: Vec::new(),
            due: None,
            retry: FIRST_RETRY,
            _ended: ended,
        };
        (writer, StoreJobs::new(sender, end, on_task))
    }

    /// Starts a thread that does the jobs until their sender is dropped.
    pub(crate) fn start(self) -> io::Result<()> {
        thread::Builder::new()
            .name("hangup-outbox".to_owned())
            .spawn(move || self.run())
            .map(drop)
    }

    fn run(mut self) {
        loop {
            let first = match self.due {
                None => self.jobs.recv().map_err(RecvTimeoutError::from),
                Some(due) => {
                    let wait = due.saturating_duration_since(Instant::now());
                    self.jobs.recv_timeout(wait)
                }
            };
            match first {
                Ok(job) => self.note(job, Instant::now()),
                Err(RecvTimeoutError::Timeout) => {}
                // What is left is done when this is dropped.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.step(Instant::now());
        }
    }

    /// Does what there is to do now. Returns when there is more to do.
    pub(crate) fn step(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let mut empty = false;
            while self.batch.len() < BATCH && self.bytes < BATCH_BYTES {
                match self.jobs.try_recv() {
                    Ok(job) => self.note(job, now),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                        empty = true;
                        break;
                    }
                }
            }
            self.append();
            for (number, reason) in std::mem::take(&mut self.buried) {
                // If it fails, the next outbox on this store tries the message again.
                let _ = call(&mut self.store, |store| store.bury(number, &reason));
            }
            if empty {
                break;
            }
        }
        if self.due.is_some_and(|due| due <= now) {
            self.remove(now);
        }
        self.due
    }

    fn note(&mut self, job: Job<T>, now: Instant) {
        match job {
            Job::Append {
                number,
                record,
                stored,
            } => {
                self.bytes += record.len();
                self.batch.push((number, record));
                self.senders.push(stored);
            }
            Job::Bury(number, reason) => self.buried.push((number, reason)),
            Job::Remove(numbers) => {
                self.removed.extend(numbers);
                self.removed.truncate(MOST_REMOVED);
                let due = *self.due.get_or_insert(now + LATE);
                // After a failure the delay stays.
                if self.removed.len() >= MANY && self.retry == FIRST_RETRY {
                    self.due = Some(due.min(now));
                }
            }
        }
    }

    fn append(&mut self) {
        let Some(&(last, _)) = self.batch.last() else {
            return;
        };
        let result = call(&mut self.store, |store| store.append(&self.batch));
        let numbers = self.batch.drain(..).map(|(number, _)| number);
        self.bytes = 0;
        let Some(shared) = self.shared.upgrade() else {
            self.senders.clear();
            return;
        };
        match result {
            Ok(()) => {
                shared.stored(self.senders.len(), last);
                for sender in self.senders.drain(..) {
                    let _ = sender.send(Ok(()));
                }
            }
            Err(error) => {
                let why = NotStoredReason::new(&error);
                let messages = shared.not_stored(numbers, last);
                for (sender, message) in self.senders.drain(..).zip(messages) {
                    // A message that is gone was settled by a shutdown or a limit of time.
                    let refused =
                        |message| OutboxError::new(message, RefusedReason::NotStored(why.clone()));
                    let _ = sender.send(message.map_or(Ok(()), |message| Err(refused(message))));
                }
            }
        }
    }

    fn remove(&mut self, now: Instant) {
        self.due = None;
        while !self.removed.is_empty() {
            let count = self.removed.len().min(MANY);
            let rest = self.removed.len() - count;
            let numbers = &self.removed[rest..];
            if call(&mut self.store, |store| store.remove(numbers)).is_err() {
                // They are delivered once more at worst. The list stays short.
                self.removed.sort_unstable();
                self.removed.dedup();
                self.due = Some(now + self.retry);
                self.retry = LAST_RETRY.min(self.retry * 2);
                return;
            }
            self.removed.truncate(rest);
            self.retry = FIRST_RETRY;
        }
        self.removed.shrink_to(MANY);
    }
}

/// Calls the store, unless it has panicked before.
fn call(
    store: &mut Option<Box<dyn Store>>,
    call: impl FnOnce(&mut dyn Store) -> io::Result<()>,
) -> io::Result<()> {
    let Some(mut inner) = store.take() else {
        return Err(io::Error::other("hangup: the store panicked earlier"));
    };
    let mut returned = false;
    let result = user_code::guard("the store", || {
        let result = call(&mut *inner);
        returned = true;
        result
    });
    if returned {
        *store = Some(inner);
    } else {
        // Its drop may panic too.
        let _ = user_code::guard("the store", || {
            drop(inner);
            Ok(())
        });
    }
    result
}

impl<T: Message> Drop for StoreWriter<T> {
    fn drop(&mut self) {
        let now = Instant::now();
        self.step(now);
        self.remove(now);
        // The store before the end is reported: it may hold a file.
        let store = self.store.take();
        let _ = user_code::guard("the store", || {
            drop(store);
            Ok(())
        });
    }
}
