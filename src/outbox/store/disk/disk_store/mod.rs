//! A store in a file.

mod commit;
#[cfg(test)]
mod forked;
mod store;

use super::Fsync;
use super::counts::Counts;
use super::error::{StoreError, StoreProblem};
use super::frame::FORMAT;
use super::header::Header;
use super::info::StoreInfo;
use super::log::Log;
use super::opened::Opened;
use super::opening;
use super::options::StoreOptions;
use super::salvage::Salvage;
use super::store_file::StoreFile;
use super::tables::Tables;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A store in a file, for [`Builder::durable`](crate::outbox::Builder::durable).
///
/// Its calls block. [`open`](Self::open) takes as long as it takes to read the file; the outbox makes all other
/// calls on a thread of its own. The store needs about 8 MiB of memory, whatever the size of the file, plus what
/// [`recover`](crate::outbox::Store::recover) returns.
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
/// | `send` waits for | one `fdatasync(2)` for all that wait together, and one more when the file grows | two `write(2)` |
///
/// * `Each` can promise only what the disk promises. A disk with a volatile cache that reports a write as complete
///   too early breaks the promise.
/// * `Never` leaves the bytes to the kernel, which outlives the process. The kernel writes them to the disk in any
///   order. `open` waits for the disk once, also with `Never`, so that no message of before a power cut can return in the
///   place of a later one.
/// * After a failed `fsync(2)` the kernel takes bytes for written that are not on the disk. The store writes them again before
///   it continues. If the program ends before that, the next `open` writes the whole file once. It knows of the failure by a
///   note in the file. If the disk refuses that too, a power cut after the next `open` may leave a damaged file.
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
/// the file, so a disk that the file itself has filled does not stay full. A store that is dropped gives unused space back: if
/// another program takes that, no message is removed until there is room again. The file doubles when it grows: the disk
/// counts as full when it has no room for that. On Linux the store reserves the space before it uses it, if the file
/// system supports `fallocate(2)`.
///
/// # The file
///
/// * It is locked (`flock(2)`) from `open` until the store is dropped, also after errors. A forked child inherits the
///   lock, and must not use the store; it may drop it. The lock ends when the process that opened the store drops it. If that process
///   is killed, the lock ends when its children have ended or executed another program.
/// * A new file is readable and writable by its owner only ([`StoreOptions::mode`]).
/// * If the file is removed, renamed or replaced while it is open, the next append fails with
///   [`StoreProblem::Removed`] (on Unix; Windows does not remove an open file). A relative path counts from the working
///   directory at `open`, also if that changes later. A program that changes its root directory (`chroot(2)`) opens the store
///   afterwards.
/// * Small batches are written to a log of 128 KiB in the file, and move into the tables when it is full or with the next removal.
///   Messages that are confirmed soon never get there.
/// * The file shrinks after messages were delivered ([`compact`](Self::compact)).
/// * A new file is made under a temporary name in the same directory: a dot, the name, a random number, `.new`. A
///   crash at this moment leaves that file behind.
///
/// # A damaged file
///
/// `open` checks every page in use before it changes anything. If a flipped bit, a lost page or a missing tail affects
/// messages, `open` fails with [`StoreProblem::Damaged`] and leaves the file unchanged. [`salvage`](Self::salvage) then
/// continues with the messages that are intact, and with numbers that were never used. An older copy of the file uses numbers
/// once more: see [`Envelope`](crate::outbox::Envelope).
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
    /// Messages that are not in the tables yet.
    log: Log,
    /// `Some` while the disk has no room for what the log may hold: how many bytes the store kept when that was found. Until
    /// [`RESUME`](commit::RESUME) of them are removed, nothing goes into the log.
    log_paused: Option<u64>,
    counts: Counts,
    header: Header,
    /// Messages that were returned to their senders although the commit may have been made. They are removed before
    /// anything else happens.
    in_doubt: Vec<u64>,
    /// Bytes that were added and removed since the last compaction.
    churn: u64,
    /// The size of the dead letters, with their heads; `None` until it is asked for.
    dead_letter_bytes: Option<u64>,
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
            log: opened.log,
            log_paused: None,
            counts: opened.counts,
            header: opened.header,
            in_doubt: Vec::new(),
            churn: u64::MAX,
            dead_letter_bytes: None,
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

    /// Returns unused disk space to the file system. The store does this automatically when its messages take less than
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

    /// Adds the path to a problem, and to damage how much of the file is intact.
    fn error(&self, problem: StoreProblem) -> io::Error {
        let problem = match problem {
            damaged @ StoreProblem::Damaged { .. } => opening::judge(&self.file, FORMAT, damaged),
            other => other,
        };
        StoreError::new(&self.path, problem).into()
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if self.file.is_forked() {
            // The database writes when it is dropped. The child knows nothing of what its parent has written since the fork.
            let _ = self.file.hold_back();
        }
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
