//! The channel from the outbox to the writer of its store.
//!
//! Jobs are done in the order in which they are sent. An append and the removal of the same message can therefore
//! never change places.

use super::backlog::Page;
use crate::observe::call_foreign;
use crate::outbox::refused::OutboxError;
use bytes::Bytes;
use std::cell::Cell;
use std::sync::mpsc::Sender;
use tokio::sync::{oneshot, watch};

/// The outcome of an append. On failure the sender gets its message back.
pub(crate) type Stored<T> = Result<(), OutboxError<T>>;

/// A call of the store.
pub(crate) enum Job<T> {
    Append { number: u64, to_store: ToStore<T> },
    Load(Page),
    Remove(Vec<u64>),
    Bury(u64, String),
}

/// A message on its way to the store.
pub(crate) struct ToStore<T> {
    record: Bytes,
    stored: oneshot::Sender<Stored<T>>,
    /// The message, if it is not in memory as well.
    pub(crate) message: Option<T>,
    has_receipt: bool,
}

impl<T> ToStore<T> {
    pub(crate) fn new(record: Bytes, has_receipt: bool) -> (Self, oneshot::Receiver<Stored<T>>) {
        let (stored, receiver) = oneshot::channel();
        let to_store = Self {
            record,
            stored,
            message: None,
            has_receipt,
        };
        (to_store, receiver)
    }

    /// Splits the record from the sender that waits for it.
    pub(crate) fn split(self, number: u64) -> (Bytes, Waiting<T>) {
        let waiting = Waiting {
            number,
            size: self.record.len(),
            message: self.message,
            has_receipt: self.has_receipt,
            stored: self.stored,
        };
        (self.record, waiting)
    }

    /// The size of the record.
    pub(crate) fn size(&self) -> usize {
        self.record.len()
    }
}

/// A sender that waits until its message is stored.
pub(crate) struct Waiting<T> {
    pub(crate) number: u64,
    /// The size of the record.
    pub(crate) size: usize,
    /// The message, if it is not in memory as well.
    pub(crate) message: Option<T>,
    pub(crate) has_receipt: bool,
    /// Tells the sender the outcome. Closed if the sender was dropped.
    pub(crate) stored: oneshot::Sender<Stored<T>>,
}

impl<T> Waiting<T> {
    /// Answers the sender. Returns whether it still waits. Its waker is foreign code and may panic.
    pub(crate) fn answer(self, stored: Stored<T>) -> bool {
        let mut waits = true;
        call_foreign(|| waits = self.stored.send(stored).is_ok());
        waits
    }
}

/// The sending half. When it is dropped, the writer does the remaining jobs, closes the store, and ends.
pub(crate) struct StoreJobs<T> {
    jobs: Sender<Job<T>>,
    ended: watch::Receiver<()>,
    /// The outbox's task does the jobs, so it has to be woken for them.
    pub(crate) on_task: bool,
    /// Jobs were sent since [`take_any`](Self::take_any).
    any: Cell<bool>,
}

impl<T> StoreJobs<T> {
    pub(crate) fn new(jobs: Sender<Job<T>>, ended: watch::Receiver<()>, on_task: bool) -> Self {
        Self {
            jobs,
            ended,
            on_task,
            any: Cell::new(false),
        }
    }

    /// Whether jobs were sent since the last call.
    pub(crate) fn take_any(&self) -> bool {
        self.any.take()
    }

    fn send(&self, job: Job<T>) {
        self.any.set(true);
        let _ = self.jobs.send(job);
    }

    /// Stores a message. The numbers must grow from call to call.
    pub(crate) fn append(&self, number: u64, to_store: ToStore<T>) {
        // If the writer is gone, the job is dropped, and with it the channel that the sender waits on.
        self.send(Job::Append { number, to_store });
    }

    /// Reads a page of the backlog.
    pub(crate) fn load(&self, page: Page) {
        self.send(Job::Load(page));
    }

    /// Removes messages that are settled.
    pub(crate) fn remove(&self, numbers: Vec<u64>) {
        self.send(Job::Remove(numbers));
    }

    /// Makes a message a dead letter.
    pub(crate) fn bury(&self, number: u64, reason: String) {
        self.send(Job::Bury(number, reason));
    }

    /// A channel that closes when all jobs are done and the store is dropped.
    pub(crate) fn ended(&self) -> watch::Receiver<()> {
        self.ended.clone()
    }
}
