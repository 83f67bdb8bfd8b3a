//! Calls the store of a durable outbox, on a thread of its own or on the outbox's task.
//!
//! # The order of a step
//!
//! 1. Take jobs until none is left or the batch is full.
//! 2. Append the batch: all messages that waited go into one commit (group commit).
//! 3. Read the requested page of the backlog.
//! 4. Bury dead letters.
//! 5. If it is time: remove confirmed messages.
//!
//! Removals are late and in bulk, because a crash costs no more than a repeated delivery. Appends come first, because
//! senders wait for them.

mod call;
mod load;
mod overflow;
mod retry;
mod unburied;

use self::call::call;
use self::retry::{FIRST_RETRY, LAST_RETRY};
use self::unburied::Unburied;
use super::backlog::Page;
use super::shared::OutboxShared;
use super::store_jobs::{Job, StoreJobs, Waiting};
use crate::observe::call_foreign;
use crate::outbox::message::Message;
use crate::outbox::refused::{NotStoredReason, OutboxError, RefusedReason};
use crate::outbox::store::Store;
use crate::outbox::user_code;
use bytes::Bytes;
use std::io::{self, ErrorKind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The longest delay before confirmed messages leave the store.
const REMOVAL_DELAY: Duration = Duration::from_millis(100);

/// This many confirmed messages leave the store without a delay. One call removes at most this many.
const REMOVAL_BATCH: usize = 4096;

/// While removals fail, at most this many numbers are remembered: 8 MiB. The other messages are delivered again after
/// a restart.
const MAX_PENDING_REMOVALS: usize = 1 << 20;

/// A commit has at most this many messages.
const BATCH: usize = 1024;
/// A commit has at most about this many bytes, or one message.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The receiving half of the jobs, and the store.
pub(crate) struct StoreWriter<T: Message> {
    /// `None` after a panic: its state is unknown.
    store: Option<Box<dyn Store>>,
    jobs: Receiver<Job<T>>,
    /// Weak: the writer may outlive the outbox, and must not keep it alive.
    shared: Weak<OutboxShared<T>>,
    /// The records of the next commit.
    batch: Vec<(u64, Bytes)>,
    /// The senders of `batch`, in the same order.
    waiting: Vec<Waiting<T>>,
    /// The size of `batch`.
    bytes: usize,
    /// Settled messages that are still in the store.
    removed: Vec<u64>,
    /// Dead letters that are still among the messages of the store.
    buried: Vec<(u64, String)>,
    /// Dead letters that the store has failed to bury.
    unburied: Unburied,
    /// The page that was requested.
    page: Option<Page>,
    /// The store has no room for the batch. The batch waits until messages were removed.
    is_full: bool,
    /// When `removed` is removed from the store.
    due: Option<Instant>,
    /// The delay after the next removal that fails.
    retry: Duration,
    /// Dropped after the store. `Outbox::shutdown` then sees that the store is closed.
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
            waiting: Vec::new(),
            bytes: 0,
            removed: Vec::new(),
            buried: Vec::new(),
            unburied: Unburied::new(),
            page: None,
            is_full: false,
            due: None,
            retry: FIRST_RETRY,
            _ended: ended,
        };
        (writer, StoreJobs::new(sender, end, on_task))
    }

    /// Starts the thread. It ends when the sending half of the jobs is dropped.
    pub(crate) fn start(self) -> io::Result<()> {
        thread::Builder::new()
            .name("hangup-outbox".to_owned())
            .spawn(move || self.run())
            .map(drop)
    }

    fn run(mut self) {
        self.step(Instant::now());
        loop {
            let first = match self.next() {
                None => self.jobs.recv().map_err(RecvTimeoutError::from),
                Some(due) => {
                    let wait = due.saturating_duration_since(Instant::now());
                    self.jobs.recv_timeout(wait)
                }
            };
            match first {
                Ok(job) => self.note(job, Instant::now()),
                Err(RecvTimeoutError::Timeout) => {}
                // `Drop` does the remaining jobs.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.step(Instant::now());
        }
    }

    /// Does what is due. Returns when there is more to do, unless a job comes before.
    pub(crate) fn step(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let mut empty = false;
            while self.is_full || (self.batch.len() < BATCH && self.bytes < BATCH_BYTES) {
                match self.jobs.try_recv() {
                    Ok(job) => self.note(job, now),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                        empty = true;
                        break;
                    }
                }
            }
            self.append();
            if let Some(page) = self.page.take() {
                self.load(page);
            }
            self.buried.append(&mut self.unburied.take_due(now));
            self.bury(now);
            if empty {
                break;
            }
        }
        if self.due.is_some_and(|due| due <= now) {
            self.remove(now);
            // Also after a failure: a store that is gone never has room.
            self.append_waiting();
        }
        self.next()
    }

    /// When a removal or a failed call is due.
    fn next(&self) -> Option<Instant> {
        [self.due, self.unburied.due()].into_iter().flatten().min()
    }

    /// Tries the messages once more for which the store had no room.
    fn append_waiting(&mut self) {
        if std::mem::take(&mut self.is_full) {
            self.append();
        }
    }

    /// Adds a job to the pending work.
    fn note(&mut self, job: Job<T>, now: Instant) {
        match job {
            Job::Append { number, to_store } => {
                let (record, waiting) = to_store.split(number);
                self.bytes += record.len();
                self.batch.push((number, record));
                self.waiting.push(waiting);
            }
            Job::Load(page) => self.page = Some(page),
            Job::Bury(number, reason) => self.buried.push((number, reason)),
            Job::Remove(numbers) => {
                if self.is_full {
                    self.give_up_settled(&numbers);
                }
                self.removed.extend(numbers);
                self.removed.truncate(MAX_PENDING_REMOVALS);
                let due = *self.due.get_or_insert(now + REMOVAL_DELAY);
                // After a failure the delay stays.
                if (self.is_full || self.removed.len() >= REMOVAL_BATCH)
                    && self.retry == FIRST_RETRY
                {
                    self.due = Some(due.min(now));
                }
            }
        }
    }

    /// Appends the batch, and sends the outcome to its senders.
    fn append(&mut self) {
        if self.batch.is_empty() || self.is_full {
            return;
        }
        self.bytes = 0;
        match call(&mut self.store, |store| store.append(&self.batch)) {
            Ok(()) => {
                self.batch.clear();
                if let Some(shared) = self.shared.upgrade() {
                    shared.stored(&self.waiting);
                }
                for waiting in self.waiting.drain(..) {
                    waiting.answer(Ok(()));
                }
            }
            Err(error) if error.kind() == ErrorKind::QuotaExceeded => self.append_singly(),
            Err(error) => {
                self.batch.clear();
                self.report("append", &error);
                let why = NotStoredReason::new(&error);
                for waiting in std::mem::take(&mut self.waiting) {
                    self.refuse(waiting, &RefusedReason::NotStored(why.clone()));
                }
            }
        }
    }

    /// Reports a failed call of the store.
    fn report(&self, call: &str, error: &io::Error) {
        if let Some(shared) = self.shared.upgrade() {
            call_foreign(|| shared.report.store_failed(call, error));
        }
    }

    /// Returns a message that was not stored to its sender.
    fn refuse(&self, mut waiting: Waiting<T>, reason: &RefusedReason) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let refused = |message| OutboxError::new(message, reason.clone());
        // `None`: the end of the outbox or a limit of time has settled the message, and the receipt reports it.
        let message = shared.not_stored(&mut waiting);
        waiting.answer(message.map_or(Ok(()), |message| Err(refused(message))));
    }

    /// Makes messages dead letters.
    fn bury(&mut self, now: Instant) {
        if self.buried.is_empty() {
            return;
        }
        let mut failed = Vec::new();
        for (number, reason) in std::mem::take(&mut self.buried) {
            match call(&mut self.store, |store| store.bury(number, &reason)) {
                Ok(()) => {}
                // It keeps no dead letters. The next outbox on this store tries the message again.
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
                Err(error) => {
                    self.report("bury", &error);
                    failed.push((number, reason));
                }
            }
        }
        self.unburied.put_back(failed, now);
        // No removal follows, and a dead letter stays: what waits for room may fit no longer.
        self.append_waiting();
    }

    /// Removes settled messages from the store. Returns whether all of them are removed.
    fn remove(&mut self, now: Instant) -> bool {
        self.due = None;
        while !self.removed.is_empty() {
            let count = self.removed.len().min(REMOVAL_BATCH);
            let rest = self.removed.len() - count;
            let numbers = &self.removed[rest..];
            if let Err(error) = call(&mut self.store, |store| store.remove(numbers)) {
                self.report("remove", &error);
                // At worst the messages are delivered again. Without duplicates the list stays short.
                self.removed.sort_unstable();
                self.removed.dedup();
                self.due = Some(now + self.retry);
                self.retry = LAST_RETRY.min(self.retry * 2);
                return false;
            }
            self.removed.truncate(rest);
            self.retry = FIRST_RETRY;
        }
        self.removed.shrink_to(REMOVAL_BATCH);
        true
    }
}

impl<T: Message> Drop for StoreWriter<T> {
    fn drop(&mut self) {
        let now = Instant::now();
        self.step(now);
        self.remove(now);
        self.buried = self.unburied.take();
        self.bury(now);
        self.append_waiting();
        // Messages that still have no room are refused.
        for waiting in std::mem::take(&mut self.waiting) {
            self.refuse(waiting, &RefusedReason::ShutDown);
        }
        // The store is dropped before `_ended`: it may hold the lock of a file that the next outbox opens.
        let store = self.store.take();
        let _ = user_code::guard("the store", || {
            drop(store);
            Ok(())
        });
    }
}
