//! The thread that keeps a durable outbox's messages: the store's calls block.
//!
//! Whatever waits when a commit is done goes into the next one. What is confirmed is forgotten late, many
//! at once: a crash before that has it delivered once more.

use super::shared::Shared;
use crate::outbox::failure::NotKept;
use crate::outbox::{Message, Refusal, SendError, Store};
use bytes::Bytes;
use std::io;
use std::mem;
use std::sync::Weak;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// So late what is confirmed is forgotten at most, unless the store is busy or fails.
const LATE: Duration = Duration::from_millis(100);

/// So many are forgotten sooner.
const MANY: usize = 4096;

/// A commit has no more messages or bytes than this, or one message.
const BATCH: usize = 1024;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What became of a message that is to be kept.
pub(crate) type Kept<T> = Result<(), SendError<T>>;

enum Job<T> {
    Keep {
        number: u64,
        bytes: Bytes,
        kept: oneshot::Sender<Kept<T>>,
    },
    Forget(Vec<u64>),
}

/// The way to the thread. It ends when this is dropped and all is done.
pub(crate) struct Keeper<T> {
    jobs: Sender<Job<T>>,
    ended: oneshot::Receiver<()>,
}

/// What goes to the thread with a message.
pub(crate) struct Keeping<T> {
    bytes: Bytes,
    kept: oneshot::Sender<Kept<T>>,
}

impl<T> Keeping<T> {
    pub(crate) fn new(bytes: Bytes) -> (Self, oneshot::Receiver<Kept<T>>) {
        let (kept, receiver) = oneshot::channel();
        (Self { bytes, kept }, receiver)
    }
}

impl<T: Message> Keeper<T> {
    pub(crate) fn start(store: Box<dyn Store>, shared: Weak<Shared<T>>) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let mut thread = Thread {
            store,
            shared,
            batch: Vec::new(),
            senders: Vec::new(),
            bytes: 0,
            forgotten: Vec::new(),
            due: None,
        };
        thread::Builder::new()
            .name("hangup-outbox".to_owned())
            .spawn(move || {
                thread.run(&queue);
                // The store first: it may hold a file.
                drop(thread);
                drop(end);
            })?;
        Ok(Self { jobs, ended })
    }

    /// The numbers must grow from call to call.
    pub(crate) fn keep(&self, number: u64, keeping: Keeping<T>) {
        let Keeping { bytes, kept } = keeping;
        // If the thread is gone, who waits hears so by its sender.
        let _ = self.jobs.send(Job::Keep {
            number,
            bytes,
            kept,
        });
    }

    pub(crate) fn forget(&self, numbers: Vec<u64>) {
        let _ = self.jobs.send(Job::Forget(numbers));
    }

    /// Waits until all is done, and the store is closed.
    pub(crate) async fn close(self) {
        drop(self.jobs);
        let _ = self.ended.await;
    }
}

struct Thread<T> {
    store: Box<dyn Store>,
    shared: Weak<Shared<T>>,
    batch: Vec<(u64, Bytes)>,
    senders: Vec<oneshot::Sender<Kept<T>>>,
    bytes: usize,
    forgotten: Vec<u64>,
    /// When these are to be forgotten.
    due: Option<Instant>,
}

impl<T: Message> Thread<T> {
    fn run(&mut self, queue: &Receiver<Job<T>>) {
        loop {
            let first = match self.due {
                None => queue.recv().map_err(RecvTimeoutError::from),
                Some(due) => queue.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match first {
                Ok(job) => self.note(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.forget();
                    return;
                }
            }
            while self.batch.len() < BATCH && self.bytes < BATCH_BYTES {
                let Ok(job) = queue.try_recv() else {
                    break;
                };
                self.note(job);
            }
            self.keep();
            let due = self.due.is_some_and(|due| due <= Instant::now());
            if due || self.forgotten.len() >= MANY {
                self.forget();
            }
        }
    }

    fn note(&mut self, job: Job<T>) {
        match job {
            Job::Keep {
                number,
                bytes,
                kept,
            } => {
                self.bytes += bytes.len();
                self.batch.push((number, bytes));
                self.senders.push(kept);
            }
            Job::Forget(numbers) => {
                self.forgotten.extend(numbers);
                self.due.get_or_insert_with(|| Instant::now() + LATE);
            }
        }
    }

    fn keep(&mut self) {
        let Some(&(last, _)) = self.batch.last() else {
            return;
        };
        let result = self.store.append(&self.batch);
        let numbers = self.batch.drain(..).map(|(number, _)| number);
        self.bytes = 0;
        let Some(shared) = self.shared.upgrade() else {
            self.senders.clear();
            return;
        };
        match result {
            Ok(()) => {
                shared.kept(self.senders.len(), last);
                for sender in self.senders.drain(..) {
                    let _ = sender.send(Ok(()));
                }
            }
            Err(error) => {
                let why = NotKept::new(&error);
                let messages = shared.not_kept(numbers, last);
                for (sender, message) in self.senders.drain(..).zip(messages) {
                    // A message that is gone was handed back by a shutdown.
                    let refusal = Refusal::NotKept(why.clone());
                    let kept =
                        message.map_or(Ok(()), |message| Err(SendError { message, refusal }));
                    let _ = sender.send(kept);
                }
            }
        }
    }

    fn forget(&mut self) {
        let forgotten = mem::take(&mut self.forgotten);
        self.due = None;
        if self.store.remove(&forgotten).is_err() {
            // Once more later: what fails here is delivered twice at worst.
            self.forgotten = forgotten;
            self.due = Some(Instant::now() + LATE * 10);
        }
    }
}
