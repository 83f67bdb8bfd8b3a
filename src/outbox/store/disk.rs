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

/// This many messages can be removed in the room that the tables keep free, wherever they lie: each needs a
/// page or two.
const FEW: usize = 8;

/// A smaller file is not compacted by itself.
const COMPACT: u64 = 4 * 1024 * 1024;

/// A store in a file, for [`Builder::durable`](crate::outbox::Builder::durable).
///
/// Its calls block: [`open`](Self::open) for as long as it takes to read the file. The outbox makes the others on a
/// thread of its own. It takes about 8 MiB of memory, however large the file is, and what
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
/// * `Each` promises what the disk does: a disk that reports a write as done while it is in a cache without
///   a battery breaks the promise.
/// * `Never` leaves the bytes with the kernel, which outlives the process. The kernel chooses the order in which they
///   come to the disk.
/// * A message is removed up to 100 ms after its confirmation, many at once. Those that were confirmed just
///   before the end are delivered once more: a peer that counts drops the ids that it has seen.
/// * A message whose `send` was still waiting may be there or not.
/// * A message that `send` hands back with an error is not delivered later. If even that cannot be ensured, the error
///   says "outcome unknown" ([`StoreProblem::OutcomeUnknown`]).
/// * Best-effort messages are not kept.
///
/// # A full disk
///
/// A full disk fails the sends that wait, and nothing else. The message comes back with
/// [`NotStored`](crate::outbox::RefusedReason::NotStored), kept messages stay and are delivered, and the next send tries
/// again. Deliveries make room in the file, so a disk that the file itself has filled does not stay full. The file doubles
/// when it grows, so the disk counts as full when it has no room for that. On Linux the room is reserved before it is used
/// if the file system supports it (`fallocate(2)`).
///
/// # The file
///
/// * It is locked (`flock(2)`) from `open` until the store is dropped, after failures too. The lock belongs to the
///   opening, so a forked child holds it as well. It ends when the store is dropped in the process that opened it; if
///   that process is killed, when its children end or execute another program. A child must not use the store.
/// * A new file is readable and writable by its owner only ([`StoreOptions::mode`]).
/// * A file that was removed, renamed or replaced while it is open is noticed by the next append, which fails with
///   [`StoreProblem::Removed`] (on Unix; Windows does not remove an open file).
/// * It becomes smaller again when messages were delivered ([`compact`](Self::compact)).
/// * While a new file is made, and only then, another one is beside it: its name begins with a dot and ends with
///   `.new`.
///
/// # A damaged file
///
/// `open` checks every page that is in use before it changes anything. A file with a bit flipped, a page lost or
/// its tail cut off is either sound as far as messages go, or refused with [`StoreProblem::Damaged`], and left as it
/// is. [`salvage`](Self::salvage) goes on with what is whole.
///
/// # Examples
///
/// An outbox that ends, and one that goes on in its place:
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
/// // The peer is out of reach. The message is on disk: the process may die now.
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
    /// `None` after a failure, until the next call.
    tables: Option<Tables>,
    counts: Counts,
    header: Header,
    /// Messages that were handed back although they may have been kept.
    in_doubt: Vec<u64>,
    /// Bytes that were added and removed since the file was compacted.
    churn: u64,
    /// It holds the lock, and so comes last.
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

    /// Opens the store, or saves the whole messages of a damaged one: [`StoreOptions::salvage`] with this policy.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for a damaged file.
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

    /// What is in the store, without reading the messages.
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

    /// Returns unused disk space to the system. The store does so by itself when its messages take less than a
    /// sixty-fourth of a file of 4 MiB or more.
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

    fn compact_if_worth(&mut self) -> Outcome<()> {
        let size = self.file.size()?;
        if size >= COMPACT && self.counts.bytes < size / 64 && self.churn >= size / 4 {
            self.compact_now()?;
        }
        Ok(())
    }

    /// The tables, opened again if the call before has failed: redb answers nothing after an error of the file.
    ///
    /// The caller puts them back if they are still of use.
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

    fn writable(&self) -> Outcome<()> {
        if self.options.read_only {
            return Err(StoreProblem::ReadOnly);
        }
        Ok(())
    }

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
                // Without it a damaged last commit passes for an unfinished one, and nothing else changes.
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
            // What was removed last is free when the database is opened anew.
            added = self.change(|change| change.add(batch));
        }
        match added {
            Ok(()) => Ok(()),
            Err(failed) if failed.in_doubt => {
                // What is handed back must not be delivered: it is removed, if it is there.
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
                // Few at a time find room in the file.
                for few in numbers.chunks(FEW) {
                    self.change(|change| change.remove(few))
                        .map_err(|failed| failed.problem)?;
                }
            }
            removed => removed.map_err(|failed| failed.problem)?,
        }
        // Without it the file stays large, and nothing is lost.
        let _ = self.compact_if_worth();
        Ok(())
    }

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
