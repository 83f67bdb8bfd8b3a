//! A store in a file.

use super::error::{StoreError, StoreProblem};
use super::file::{self, Locked};
use super::frame::{Frame, HEAD};
use super::{Fsync, Store};
use bytes::Bytes;
use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, DatabaseError, Durability, ReadableTable, StorageBackend, StorageError,
    TableDefinition, TableError, WriteTransaction,
};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The messages, each in a [`Frame`], by their numbers.
const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");
/// What is known of the store, by name.
const FACTS: TableDefinition<&str, u64> = TableDefinition::new("outbox");
/// The version of all this.
const FORMAT: &str = "format";
/// Above all numbers that were ever given.
const NEXT: &str = "next";
/// Nothing is kept in it, see [`ROOM`].
const SCRATCH: TableDefinition<u64, &[u8]> = TableDefinition::new("scratch");

const THIS_FORMAT: u64 = 1;

/// How a file of redb begins.
const REDB: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// So much is free in the file whenever something was added: forgetting needs pages too, and must not
/// need more disk, or a disk that this file has filled would stay full.
const ROOM: usize = 128 * 1024;

/// So many messages can be forgotten in [`ROOM`], wherever they lie: each needs a page or two.
const FEW: usize = 8;

/// For pages, of which each is used about once.
const CACHE: usize = 4 * 1024 * 1024;

type Outcome<T> = Result<T, StoreProblem>;

/// A store in a file, for [`Builder::durable`](crate::outbox::Builder::durable).
///
/// Its calls block: [`open`](Self::open) for as long as it takes to read the file, and for that moment it
/// takes memory for two of it. The outbox makes the others on a thread of its own.
///
/// # What is promised
///
/// Of messages that [`send`](crate::outbox::Outbox::send) has accepted as important, and that are not
/// confirmed:
///
/// | | [`Fsync::Each`] | [`Fsync::Never`] |
/// |---|---|---|
/// | the process is killed, panics or aborts | all are delivered, in order | all are delivered, in order |
/// | the power is cut, or the kernel crashes | all are delivered, in order | the file may be damaged, see below |
/// | `send` waits for | two `fdatasync(2)` for all that wait together | a few `write(2)` |
///
/// * `Each` promises what the disk does: one that says it has written what it only holds in a cache without
///   a battery breaks the promise.
/// * `Never` leaves the bytes with the kernel, which outlives the process. In what order they come to the disk
///   is the kernel's choice.
/// * A message is forgotten up to 100 ms after its confirmation, many at once. Those that were confirmed just
///   before the end are delivered once more: a peer that counts drops the ids that it has seen.
/// * A message whose `send` was still waiting may be there or not.
/// * Best-effort messages are not kept.
///
/// # A full disk
///
/// It fails the sends that wait, and nothing else: the message comes back with
/// [`NotKept`](crate::outbox::RefusedReason::NotStored), what was kept stays and is delivered, and the next send tries again.
/// What is delivered makes room in the file, so that a disk which the file itself has filled does not stay
/// full. The file doubles when it grows, and the disk is full when it has no room for that. On Linux the room
/// is taken before it is used, where the file system can do so (`fallocate(2)`).
///
/// # A damaged file
///
/// `open` checks every page that is in use, and every message, before it changes anything. A file with a bit
/// flipped, a page lost or its tail cut off is either sound as far as messages go, or refused with
/// [`StoreProblem::Damaged`], and left as it is. [`salvage`](Self::salvage) goes on with what is whole.
///
/// The database panics on some damaged files. The panic is caught and becomes the error; its message is
/// printed by the hook all the same, and with `panic = "abort"` the process ends.
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
    fsync: Fsync,
    /// `None` after a failure, until the next call.
    database: Option<Database>,
}

/// What [`DiskStore::salvage`] has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Salvage {
    /// Nothing: the file is sound.
    Sound,
    /// Whole messages were put into a new file.
    #[non_exhaustive]
    Salvaged {
        /// So many.
        messages: usize,
        /// Where the damaged file is now.
        damaged: PathBuf,
    },
}

impl DiskStore {
    /// Opens the store, or makes it if there is no such file. What a crash or a power cut left is mended.
    ///
    /// # Errors
    ///
    /// See [`StoreProblem`]. A file that cannot be opened is not changed.
    pub fn open(path: impl AsRef<Path>, fsync: Fsync) -> Result<Self, StoreError> {
        let path = path.as_ref();
        Self::open_or_create(path, fsync).map_err(|problem| StoreError::new(path, problem))
    }

    /// As [`open`](Self::open); but of a damaged file what is whole is put into a new one, and the damaged one
    /// is kept under another name (`.damaged` is added to it).
    ///
    /// Every whole message is found that was kept and not yet forgotten. Some that were forgotten may be
    /// found too: they are delivered once more. What is damaged is lost, and how many messages that is
    /// nobody can tell.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for a damaged file.
    pub fn salvage(path: impl AsRef<Path>, fsync: Fsync) -> Result<(Self, Salvage), StoreError> {
        let path = path.as_ref();
        match Self::open_or_create(path, fsync) {
            Ok(store) => Ok((store, Salvage::Sound)),
            Err(StoreProblem::Damaged { .. }) => {
                Self::salvage_whole(path, fsync).map_err(|problem| StoreError::new(path, problem))
            }
            Err(problem) => Err(StoreError::new(path, problem)),
        }
    }

    fn open_or_create(path: &Path, fsync: Fsync) -> Outcome<Self> {
        let locked = match Locked::open(path, fsync) {
            Err(StoreProblem::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Self::create(path, fsync);
            }
            opened => opened?,
        };
        examine(locked.read_all()?)?;
        Ok(Self {
            path: path.to_owned(),
            fsync,
            database: Some(guarded(|| Ok(builder().create_with_backend(locked)?))?),
        })
    }

    /// Makes an empty store, under another name until it is complete.
    fn create(path: &Path, fsync: Fsync) -> Outcome<Self> {
        let new = file::beside(path, ".new");
        let locked = Locked::open_new(&new, fsync)?;
        // Another process may have been faster: then this may even be its file, under its former name.
        if path.try_exists()? {
            return Err(StoreProblem::InUse);
        }
        let database = fill(locked, &[], 0).inspect_err(|_| drop(fs::remove_file(&new)))?;
        fs::rename(&new, path)?;
        file::sync_directory(path)?;
        Ok(Self {
            path: path.to_owned(),
            fsync,
            database: Some(database),
        })
    }

    fn salvage_whole(path: &Path, fsync: Fsync) -> Outcome<(Self, Salvage)> {
        let locked = Locked::open(path, fsync)?;
        let bytes = locked.read_all()?;
        let whole = whole(&bytes);
        let messages: Vec<(u64, &[u8])> = whole.iter().map(|(&n, &message)| (n, message)).collect();
        // Numbers of messages that are damaged are not given again.
        let next = messages.last().map_or(0, |&(number, _)| number + 1) + (1 << 32);
        let new = file::beside(path, ".new");
        let database = fill(Locked::open_new(&new, fsync)?, &messages, next)
            .inspect_err(|_| drop(fs::remove_file(&new)))?;
        let damaged = file::set_aside(path)?;
        drop(locked);
        fs::rename(&new, path)?;
        file::sync_directory(path)?;
        let store = Self {
            path: path.to_owned(),
            fsync,
            database: Some(database),
        };
        let messages = messages.len();
        Ok((store, Salvage::Salvaged { messages, damaged }))
    }

    /// Keeps these, all or none.
    fn keep(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        let Some(&(last, _)) = batch.last() else {
            return Ok(());
        };
        self.call(|database| {
            let transaction = begin(database)?;
            insert(&transaction, batch, last + 1)?;
            Ok(transaction.commit()?)
        })
    }

    /// Forgets these, all or none.
    fn forget(&mut self, numbers: &[u64]) -> io::Result<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        self.call(|database| {
            let transaction = begin(database)?;
            {
                let mut messages = transaction.open_table(MESSAGES)?;
                for number in numbers {
                    messages.remove(number)?;
                }
            }
            Ok(transaction.commit()?)
        })
    }

    /// Makes a call on the database, which is opened anew if the call before has failed: redb answers
    /// nothing more after an error of the file.
    fn call<T>(&mut self, call: impl FnOnce(&Database) -> Outcome<T>) -> io::Result<T> {
        let done = (|| {
            let database = match self.database.take() {
                Some(database) => database,
                None => {
                    let locked = Locked::open(&self.path, self.fsync)?;
                    guarded(|| Ok(builder().create_with_backend(locked)?))?
                }
            };
            guarded(move || {
                let result = call(&database)?;
                Ok((database, result))
            })
        })();
        match done {
            Ok((database, result)) => {
                self.database = Some(database);
                Ok(result)
            }
            Err(problem) => Err(StoreError::new(&self.path, problem).into()),
        }
    }
}

impl Store for DiskStore {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        self.call(|database| {
            let messages = database.begin_read()?.open_table(MESSAGES)?;
            let mut recovered = Vec::new();
            for row in messages.iter()? {
                let (number, frame) = row?;
                let frame = framed(number.value(), frame.value())?;
                recovered.push((frame.number, Bytes::copy_from_slice(frame.message)));
            }
            Ok(recovered)
        })
    }

    fn next_number(&mut self) -> io::Result<u64> {
        self.call(|database| {
            let facts = database.begin_read()?.open_table(FACTS)?;
            let next = facts.get(NEXT)?;
            Ok(next.map_or(0, |next| next.value()))
        })
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        match self.keep(batch) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // What was forgotten last is free after one commit more.
                self.call(|database| Ok(begin(database)?.commit()?))?;
                self.keep(batch)
            }
            done => done,
        }
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        match self.forget(numbers) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // Few at a time find room in the file.
                numbers.chunks(FEW).try_for_each(|few| self.forget(few))
            }
            done => done,
        }
    }
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore")
            .field("path", &self.path)
            .field("fsync", &self.fsync)
            .finish_non_exhaustive()
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    // The format that later versions of redb read.
    builder
        .set_cache_size(CACHE)
        .create_with_file_format_v3(true);
    builder
}

/// A new store in this file, whatever is in it.
fn fill(locked: Locked, messages: &[(u64, &[u8])], next: u64) -> Outcome<Database> {
    guarded(|| {
        locked.set_len(0)?;
        let database = builder().create_with_backend(locked)?;
        let transaction = begin(&database)?;
        transaction.open_table(FACTS)?.insert(FORMAT, THIS_FORMAT)?;
        insert(&transaction, messages, next)?;
        transaction.commit()?;
        Ok(database)
    })
}

fn begin(database: &Database) -> Outcome<WriteTransaction> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate);
    // In one phase, redb takes a damaged last commit for one that was not finished, and drops it.
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

fn insert<M: AsRef<[u8]>>(
    transaction: &WriteTransaction,
    batch: &[(u64, M)],
    next: u64,
) -> Outcome<()> {
    {
        let mut messages = transaction.open_table(MESSAGES)?;
        let oldest = messages.first()?.map(|(number, _)| number.value());
        let floor = oldest
            .or(batch.first().map(|batch| batch.0))
            .unwrap_or(next);
        for (number, message) in batch {
            let message = message.as_ref();
            let frame = Frame {
                number: *number,
                floor,
                message,
            };
            let length = u32::try_from(HEAD + message.len()).map_err(|_| StoreProblem::TooLarge)?;
            let mut place = messages.insert_reserve(number, length)?;
            frame.write(place.as_mut());
        }
    }
    transaction.open_table(FACTS)?.insert(NEXT, next)?;
    let mut scratch = transaction.open_table(SCRATCH)?;
    scratch.insert_reserve(0, ROOM as u32)?;
    scratch.remove(0)?;
    Ok(())
}

/// Whether the bytes are those of a sound store.
///
/// redb is asked, on a copy in memory: on a damaged file it may change what is left, and panic.
fn examine(bytes: Vec<u8>) -> Outcome<()> {
    let begins_well = bytes.starts_with(&REDB);
    if !begins_well && Frame::scan(&bytes).next().is_none() {
        return Err(StoreProblem::NotAStore);
    }
    let trial = guarded(|| {
        if !begins_well {
            return Err(damaged("its beginning"));
        }
        let copy = InMemoryBackend::new();
        copy.set_len(bytes.len() as u64)?;
        copy.write(0, &bytes)?;
        let mut database = builder().create_with_backend(copy)?;
        if !database.check_integrity()? {
            return Err(damaged("its free pages"));
        }
        check_rows(&database)
    });
    let what = match trial {
        Err(StoreProblem::Damaged { what, .. }) => what,
        // It names a place that the copy does not have.
        Err(StoreProblem::Io(error)) => error.to_string(),
        other => return other,
    };
    Err(StoreProblem::Damaged {
        whole: whole(&bytes).len(),
        what,
    })
}

fn check_rows(database: &Database) -> Outcome<()> {
    let transaction = database.begin_read()?;
    let facts = match transaction.open_table(FACTS) {
        Err(TableError::TableDoesNotExist(_)) => return Err(StoreProblem::NotAStore),
        facts => facts?,
    };
    match facts.get(FORMAT)?.map(|format| format.value()) {
        Some(THIS_FORMAT) => {}
        Some(_) => return Err(StoreProblem::OtherFormat),
        None => return Err(StoreProblem::NotAStore),
    }
    for row in transaction.open_table(MESSAGES)?.iter()? {
        let (number, frame) = row?;
        framed(number.value(), frame.value())?;
    }
    Ok(())
}

fn framed(number: u64, bytes: &[u8]) -> Outcome<Frame<'_>> {
    let frame = Frame::read(bytes).filter(|frame| frame.number == number);
    frame.ok_or_else(|| damaged(&format!("message {number}")))
}

/// The whole messages in a damaged file, but for those that were surely forgotten.
fn whole(bytes: &[u8]) -> BTreeMap<u64, &[u8]> {
    let floor = Frame::scan(bytes).map(|frame| frame.floor).max();
    Frame::scan(bytes)
        .filter(|frame| Some(frame.number) >= floor)
        .map(|frame| (frame.number, frame.message))
        .collect()
}

fn damaged(what: &str) -> StoreProblem {
    StoreProblem::Damaged {
        whole: 0,
        what: what.to_owned(),
    }
}

/// redb panics on some damaged files.
fn guarded<T>(call: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or(panic.downcast_ref::<&str>().copied());
        Err(damaged(message.unwrap_or("the database panicked")))
    })
}

impl From<redb::Error> for StoreProblem {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::ValueTooLarge(_) => Self::TooLarge,
            redb::Error::Io(error) => error.into(),
            other => damaged(&other.to_string()),
        }
    }
}

macro_rules! by_redb_error {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreProblem {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

by_redb_error!(
    DatabaseError,
    StorageError,
    TableError,
    redb::CommitError,
    redb::TransactionError
);
