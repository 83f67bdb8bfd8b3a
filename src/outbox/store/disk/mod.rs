//! A store in a file.

use super::dead_letter::DeadLetter;
use super::error::{Outcome, StoreError, StoreProblem};
use super::frame::HEAD;
use super::header::Header;
use super::info::StoreInfo;
use super::opening::Opened;
use super::options::StoreOptions;
use super::salvage::Salvage;
use super::store_file::{Region, StoreFile};
use super::tables::{Change, Counts, Failed, Tables};
use super::{Fsync, Store};
use bytes::Bytes;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// This many messages can be removed within the space that the tables keep free, wherever they lie: each needs a page
/// or two.
const FEW: usize = 8;

/// The store does not compact a file that is smaller than this by itself.
const COMPACT: u64 = 4 * 1024 * 1024;

/// A store in a file, for [`Builder::durable`](crate::outbox::Builder::durable).
///
/// Its calls block. [`open`](Self::open) takes as long as it takes to read the file; the outbox makes all other
/// calls on a thread of its own. The store needs about 8 MiB of memory, whatever the size of the file, plus what
/// [`recover`](Store::recover) returns.
///
/// # What is promised
///
/// For messages that [`send`](crate::outbox::Outbox::send) has accepted as important, and that are not
/// confirmed:
///
/// | | [`Fsync::Each`] | [`Fsync::Never`] |
/// |---|---|---|
/// | the process is killed, panics or aborts | all are delivered, in order | all are delivered, in order |
/// | the power is cut, or the kernel crashes | all are delivered, in order | the file may be damaged, see below |
/// | `send` waits for | one `fdatasync(2)` for all that wait together, and one more when the file grows | a few `write(2)` |
///
/// * `Each` can promise only what the disk promises. A disk with a volatile cache that reports a write as complete
///   too early breaks the promise.
/// * `Never` leaves the bytes to the kernel, which outlives the process. The kernel writes them to the disk in any
///   order.
/// * A message is removed up to 100 ms after its confirmation, together with others. Messages that were confirmed just
///   before a crash are delivered again. A peer that must process each message once drops the ids that it has seen.
/// * If the process ends while a `send` waits, its message may or may not be in the store.
/// * A message that `send` returns with an error is not delivered later. If the store cannot ensure this, the error
///   says "outcome unknown" ([`StoreProblem::OutcomeUnknown`]).
/// * The store does not keep best-effort messages.
///
/// # A full disk
///
/// On a full disk the waiting sends fail with [`NotStored`](crate::outbox::RefusedReason::NotStored) and return their
/// messages. Messages in the store are delivered as before, and the next send tries again. Deliveries free space inside
/// the file, so a disk that the file itself has filled does not stay full. The file doubles when it grows: the disk
/// counts as full when it has no room for that. On Linux the store reserves the space before it uses it, if the file
/// system supports `fallocate(2)`.
///
/// # The file
///
/// * It is locked (`flock(2)`) from `open` until the store is dropped, also after errors. A forked child inherits the
///   lock, and must not use the store. The lock ends when the process that opened the store drops it. If that process
///   is killed, the lock ends when its children have ended or executed another program.
/// * A new file is readable and writable by its owner only ([`StoreOptions::mode`]).
/// * If the file is removed, renamed or replaced while it is open, the next append fails with
///   [`StoreProblem::Removed`] (on Unix; Windows does not remove an open file).
/// * The file shrinks after messages were delivered ([`compact`](Self::compact)).
/// * A new file is made under a temporary name in the same directory: a dot, the name, a random number, `.new`. A
///   crash at this moment leaves that file behind.
///
/// # A damaged file
///
/// `open` checks every page in use before it changes anything. If a flipped bit, a lost page or a missing tail affects
/// messages, `open` fails with [`StoreProblem::Damaged`] and leaves the file unchanged. [`salvage`](Self::salvage) then
/// continues with the messages that are intact.
///
/// # Examples
///
/// One outbox ends with a message undelivered, and the next one delivers it:
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::{DiskStore, Fsync, Outbox};
/// use std::io::ErrorKind;
/// use std::time::Duration;
/// use tokio::net::{TcpListener, TcpStream};
/// use futures::StreamExt;
/// use tokio_util::codec::{FramedRead, LinesCodec};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("hangup-durable-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let path = directory.join("outbox");
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
///
/// // The peer is unreachable. Once `send` returns, the message is on disk: the process may die now.
/// let away = || async { Err::<TcpStream, _>(ErrorKind::ConnectionRefused.into()) };
/// let first = Outbox::<String>::builder(away, LinesCodec::new)
///     .durable(DiskStore::open(&path, Fsync::Each)?)
///     .spawn()?;
/// drop(first.send("door opened".to_owned()).await?);
/// first.shutdown(Duration::ZERO).await;
///
/// let second = Outbox::<String>::builder(move || TcpStream::connect(address), LinesCodec::new)
///     .durable(DiskStore::open(&path, Fsync::Each)?)
///     .spawn()?;
/// drop(second.send("door closed".to_owned()).await?);
/// let (peer, _) = listener.accept().await?;
/// let mut lines = FramedRead::new(peer, LinesCodec::new());
/// assert_eq!(lines.next().await.ok_or("no line")??, "door opened");
/// assert_eq!(lines.next().await.ok_or("no line")??, "door closed");
/// assert!(second.shutdown(Duration::from_secs(10)).await.is_complete());
/// # drop(second);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
///
/// The store itself:
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::{DiskStore, Fsync, Store};
///
/// # fn main() -> std::io::Result<()> {
/// # let directory = std::env::temp_dir().join(format!("hangup-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let path = directory.join("outbox");
/// let mut store = DiskStore::open(&path, Fsync::Each)?;
/// store.append(&[(0, Bytes::from("door opened")), (1, Bytes::from("door closed"))])?;
/// store.remove(&[0])?;
/// drop(store);
///
/// let mut store = DiskStore::open(&path, Fsync::Each)?;
/// assert_eq!(store.recover()?, [(1, Bytes::from("door closed"))]);
/// assert_eq!(store.next_number()?, 2);
/// # drop(store);
/// # std::fs::remove_dir_all(&directory)
/// # }
/// ```
pub struct DiskStore {
    path: PathBuf,
    options: StoreOptions,
    /// `None` after an error: the next call opens the database again.
    tables: Option<Tables>,
    counts: Counts,
    header: Header,
    /// Messages that were returned to their senders although the commit may have been made. They are removed before
    /// anything else happens.
    in_doubt: Vec<u64>,
    /// Bytes that were added and removed since the last compaction.
    churn: u64,
    /// The file with its lock. Fields are dropped in order, so the lock is released last.
    file: Arc<StoreFile>,
}

impl DiskStore {
    /// Opens the store, or creates it if there is no such file: [`StoreOptions::open`] with this policy.
    ///
    /// # Errors
    ///
    /// See [`StoreProblem`]. A file that cannot be opened is not changed.
    ///
    /// ```
    /// use hangup::outbox::{DiskStore, Fsync, StoreProblem};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-open-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// let store = DiskStore::open(&path, Fsync::Each)?;
    /// let second = DiskStore::open(&path, Fsync::Each).unwrap_err();
    /// assert!(matches!(second.problem(), StoreProblem::InUse));
    ///
    /// drop(store); // frees the lock
    /// DiskStore::open(&path, Fsync::Each)?;
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>, fsync: Fsync) -> Result<Self, StoreError> {
        StoreOptions::new().fsync(fsync).open(path)
    }

    /// Opens the store. If the file is damaged, saves its intact messages into a new file:
    /// [`StoreOptions::salvage`] with this policy.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). A damaged file is not an error here.
    ///
    /// ```
    /// use hangup::outbox::{DiskStore, Fsync, Salvage};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-salvage-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let (store, salvage) = DiskStore::salvage(directory.join("outbox"), Fsync::Each)?;
    /// match salvage {
    ///     Salvage::Salvaged { messages, damaged, .. } => {
    ///         eprintln!("{messages} messages saved; the damaged file is {}", damaged.display());
    ///     }
    ///     sound => assert_eq!(sound, Salvage::Sound),
    /// }
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn salvage(path: impl AsRef<Path>, fsync: Fsync) -> Result<(Self, Salvage), StoreError> {
        StoreOptions::new().fsync(fsync).salvage(path)
    }

    pub(super) fn new(path: &Path, options: StoreOptions, opened: Opened) -> Self {
        Self {
            path: path.to_owned(),
            options,
            tables: Some(opened.tables),
            counts: opened.counts,
            header: opened.header,
            in_doubt: Vec::new(),
            churn: u64::MAX,
            file: opened.file,
        }
    }

    /// Counts and sizes of the store, without reading the messages.
    ///
    /// # Errors
    ///
    /// If the size of the file cannot be read.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{DiskStore, Fsync, Store};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-info-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let mut store = DiskStore::open(directory.join("outbox"), Fsync::Each)?;
    /// store.append(&[(0, Bytes::from("door opened")), (1, Bytes::from("door closed"))])?;
    /// store.bury(0, "the station does not know this door")?;
    ///
    /// let info = store.info()?;
    /// assert_eq!((info.messages(), info.dead_letters()), (1, 1));
    /// assert_eq!(info.next_number(), 2);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn info(&self) -> io::Result<StoreInfo> {
        Ok(StoreInfo::new(self.counts, self.file.size()?))
    }

    /// Returns unused disk space to the file system. The store does this by itself when its messages take less than
    /// 1/64 of a file of 4 MiB or more.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written. Nothing is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{DiskStore, Fsync, Store};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-compact-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let mut store = DiskStore::open(directory.join("outbox"), Fsync::Never)?;
    /// store.append(&[(0, Bytes::from(vec![7; 1_000_000]))])?;
    /// store.remove(&[0])?;
    /// let before = store.info()?.file_size();
    /// store.compact()?;
    /// assert!(store.info()?.file_size() < before);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)
    /// # }
    /// ```
    pub fn compact(&mut self) -> io::Result<()> {
        self.writable()
            .and_then(|()| self.compact_now())
            .map_err(|problem| self.error(problem))
    }

    fn compact_now(&mut self) -> Outcome<()> {
        let mut tables = self.ready()?;
        tables.compact()?;
        self.tables = Some(tables);
        self.churn = 0;
        Ok(())
    }

    /// Compacts the file if it is large, nearly empty, and has changed enough since the last time.
    fn compact_if_worth(&mut self) -> Outcome<()> {
        let size = self.file.size()?;
        if size >= COMPACT && self.counts.bytes < size / 64 && self.churn >= size / 4 {
            self.compact_now()?;
        }
        Ok(())
    }

    /// The tables. Opens the database again if the previous call failed, because redb answers nothing after an I/O
    /// error.
    ///
    /// The caller puts the tables back if they are still usable.
    fn ready(&mut self) -> Outcome<Tables> {
        if let Some(tables) = self.tables.take() {
            return Ok(tables);
        }
        self.file.settle()?;
        let region = Region::behind_header(&self.file);
        let (mut tables, counts) = Tables::open(region, self.header.file)?;
        if counts.sequence < self.header.acknowledged {
            return Err(StoreProblem::damaged("its last commit"));
        }
        self.counts = Counts {
            // A commit that failed has used its sequence and its numbers.
            sequence: self.counts.sequence.max(counts.sequence),
            next: self.counts.next.max(counts.next),
            ..counts
        };
        if !self.in_doubt.is_empty() {
            let removed = tables.commit(&self.counts, |change| change.remove(&self.in_doubt));
            self.counts.sequence += 1;
            self.counts = removed.map_err(|failed| failed.problem)?;
            self.in_doubt.clear();
        }
        Ok(tables)
    }

    /// Fails if the store was opened read-only.
    fn writable(&self) -> Outcome<()> {
        if self.options.read_only {
            return Err(StoreProblem::ReadOnly);
        }
        Ok(())
    }

    /// Commits a change. After an error the tables are dropped, unless the error is the caller's.
    fn change(
        &mut self,
        change: impl FnOnce(&mut Change<'_>) -> Outcome<()>,
    ) -> Result<(), Failed> {
        let mut tables = self.ready()?;
        let before = self.counts.bytes;
        match tables.commit(&self.counts, change) {
            Ok(counts) => {
                self.counts = counts;
                self.tables = Some(tables);
                self.churn = self.churn.saturating_add(before.abs_diff(counts.bytes));
                self.header.acknowledged = counts.sequence;
                // If this write fails, a damaged last commit would look like an interrupted one. Nothing else depends
                // on it.
                let _ = self.header.write_progress(&self.file);
                Ok(())
            }
            Err(failed) => {
                self.counts.sequence += 1;
                let refused = matches!(
                    failed.problem,
                    StoreProblem::TooLarge | StoreProblem::NumberTooLarge
                );
                if refused {
                    self.tables = Some(tables);
                }
                Err(failed)
            }
        }
    }

    /// Appends a batch: see [`Store::append`].
    fn try_append(&mut self, batch: &[(u64, Bytes)]) -> Outcome<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.writable()?;
        self.file
            .check_reachable()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => StoreProblem::Removed,
                _ => error.into(),
            })?;
        let more = batch
            .iter()
            .map(|(_, message)| (HEAD + message.len()) as u64);
        if self.counts.bytes.saturating_add(more.sum()) > self.options.disk_capacity {
            return Err(StoreProblem::CapacityReached);
        }
        let mut added = self.change(|change| change.add(batch));
        if let Err(Failed {
            problem: StoreProblem::Full,
            in_doubt: false,
        }) = added
        {
            // Opening the database again makes the pages of the last removal free.
            added = self.change(|change| change.add(batch));
        }
        match added {
            Ok(()) => Ok(()),
            Err(failed) if failed.in_doubt => {
                // The sender gets these messages back, so they must not be delivered: remove them if they are there.
                self.in_doubt.extend(batch.iter().map(|(number, _)| number));
                match self.ready() {
                    Ok(tables) => {
                        self.tables = Some(tables);
                        Err(failed.problem)
                    }
                    Err(_) => Err(StoreProblem::OutcomeUnknown {
                        cause: Box::new(failed.problem),
                    }),
                }
            }
            Err(failed) => Err(failed.problem),
        }
    }

    /// Removes messages: see [`Store::remove`].
    fn try_remove(&mut self, numbers: &[u64]) -> Outcome<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        self.writable()?;
        match self.change(|change| change.remove(numbers)) {
            Err(Failed {
                problem: StoreProblem::Full,
                ..
            }) => {
                // A removal needs free pages too. A few messages at a time find enough.
                for few in numbers.chunks(FEW) {
                    self.change(|change| change.remove(few))
                        .map_err(|failed| failed.problem)?;
                }
            }
            removed => removed.map_err(|failed| failed.problem)?,
        }
        // If the compaction fails, the file stays large, and nothing is lost.
        let _ = self.compact_if_worth();
        Ok(())
    }

    /// Reads messages from number `from` on, up to `max_bytes`, but at least one.
    fn read_page(&mut self, from: u64, max_bytes: usize) -> Outcome<Vec<(u64, Bytes)>> {
        let tables = self.ready()?;
        let mut page = Vec::new();
        let mut bytes = 0_usize;
        tables.messages_from(from, |number, message| {
            bytes = bytes.saturating_add(message.len());
            if bytes > max_bytes && !page.is_empty() {
                return ControlFlow::Break(());
            }
            page.push((number, message));
            ControlFlow::Continue(())
        })?;
        self.tables = Some(tables);
        Ok(page)
    }

    fn read_dead_letters(&mut self) -> Outcome<Vec<DeadLetter>> {
        let tables = self.ready()?;
        let mut letters = Vec::new();
        tables.dead_letters_from(0, |number, letter| {
            letters.extend(DeadLetter::read(number, letter));
            ControlFlow::Continue(())
        })?;
        self.tables = Some(tables);
        Ok(letters)
    }

    /// Adds the path to a problem.
    fn error(&self, problem: StoreProblem) -> io::Error {
        StoreError::new(&self.path, problem).into()
    }
}

impl Store for DiskStore {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        self.recover_page(0, usize::MAX)
    }

    fn recover_page(&mut self, from: u64, max_bytes: usize) -> io::Result<Vec<(u64, Bytes)>> {
        self.read_page(from, max_bytes)
            .map_err(|problem| self.error(problem))
    }

    fn totals(&mut self) -> io::Result<(u64, u64)> {
        let Counts {
            messages,
            dead_letters,
            bytes,
            ..
        } = self.counts;
        let heads = (messages + dead_letters).saturating_mul(HEAD as u64);
        Ok((messages, bytes.saturating_sub(heads)))
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Ok(self.counts.next)
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        self.try_append(batch)
            .map_err(|problem| self.error(problem))
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        self.try_remove(numbers)
            .map_err(|problem| self.error(problem))
    }

    fn bury(&mut self, number: u64, reason: &str) -> io::Result<()> {
        let buried = self
            .writable()
            .map_err(Failed::from)
            .and_then(|()| self.change(|change| change.bury(number, reason)));
        buried.map_err(|failed| self.error(failed.problem))
    }

    fn dead_letters(&mut self) -> io::Result<Vec<DeadLetter>> {
        self.read_dead_letters()
            .map_err(|problem| self.error(problem))
    }

    fn remove_dead_letters(&mut self, numbers: &[u64]) -> io::Result<()> {
        let removed = self
            .writable()
            .map_err(Failed::from)
            .and_then(|()| self.change(|change| change.remove_dead_letters(numbers)));
        removed.map_err(|failed| self.error(failed.problem))
    }
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore")
            .field("path", &self.path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
