//! The tables of the database: messages, dead letters, and counts.
//!
//! | table | key | value |
//! |---|---|---|
//! | `messages` | number | frame |
//! | `messages` | `u64::MAX` | [`Counts`] |
//! | `dead letters` | number | frame |
//! | `scratch` | | empty |

use super::error::{Outcome, StoreProblem};
use super::frame::{self, HEAD, Head, Kind, LIMIT};
use super::store_file::Region;
use bytes::Bytes;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, Table, TableDefinition,
    TableError, WriteTransaction,
};
use std::io;
use std::ops::ControlFlow;

/// The messages by their numbers, and [`Counts`] after them. A commit writes the page of the newest messages in any
/// case, so the counts cost no page of their own.
const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");
/// The dead letters by the numbers of their messages.
const DEAD_LETTERS: TableDefinition<u64, &[u8]> = TableDefinition::new("dead letters");
/// The key of the counts: above all numbers.
const COUNTS: u64 = u64::MAX;
/// Empty after each commit: see [`ROOM`].
const SCRATCH: TableDefinition<u64, &[u8]> = TableDefinition::new("scratch");

/// This many bytes are kept free in the file. A removal needs free pages before it frees others, and must not need
/// more disk space: otherwise a disk that this file has filled would stay full.
const ROOM: usize = 128 * 1024;
const PARTS: u64 = 4;

/// After this many added bytes the free space is checked again.
const UNCHECKED: u64 = 16 * 1024;

/// The cache of the database in bytes. Most pages are used about once, so a small one is enough.
const CACHE: usize = 4 * 1024 * 1024;

/// What is known about the tables without reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Above all numbers that were ever given.
    pub(super) next: u64,
    /// The sequence of the last commit.
    pub(super) sequence: u64,
    pub(super) messages: u64,
    pub(super) dead_letters: u64,
    /// The size of messages and dead letters, with their heads.
    pub(super) bytes: u64,
}

impl Counts {
    const SIZE: usize = 5 * 8;

    fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let counts = [
            self.next,
            self.sequence,
            self.messages,
            self.dead_letters,
            self.bytes,
        ];
        for (place, count) in bytes.chunks_exact_mut(8).zip(counts) {
            place.copy_from_slice(&count.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::SIZE] = bytes.try_into().ok()?;
        let count = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        Some(Self {
            next: count(0)?,
            sequence: count(8)?,
            messages: count(16)?,
            dead_letters: count(24)?,
            bytes: count(32)?,
        })
    }
}

/// The error of a commit.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) problem: StoreProblem,
    /// Whether the commit may have been made in spite of the error.
    pub(super) in_doubt: bool,
}

impl<E: Into<StoreProblem>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self {
            problem: error.into(),
            in_doubt: false,
        }
    }
}

/// An open database.
#[derive(Debug)]
pub(super) struct Tables {
    database: Database,
    /// The random number of the file.
    file: u64,
    /// Bytes that were added since the free space was checked.
    unchecked: u64,
}

impl Tables {
    /// Creates the tables in an empty region.
    pub(super) fn create(region: Region, file: u64, counts: Counts) -> Outcome<Self> {
        let database = builder().create_with_backend(region)?;
        let transaction = database.begin_write()?;
        transaction
            .open_table(MESSAGES)?
            .insert(COUNTS, &counts.to_bytes()[..])?;
        transaction.open_table(DEAD_LETTERS)?;
        reserve_room(&transaction)?;
        transaction.commit()?;
        Ok(Self {
            database,
            file,
            unchecked: UNCHECKED,
        })
    }

    /// Opens the tables, after a check of every page in use.
    pub(super) fn open(region: Region, file: u64) -> Outcome<(Self, Counts)> {
        let database = builder()
            .set_check_integrity_on_open(true)
            .create_with_backend(region)?;
        let counts = read_counts(&database)?;
        let tables = Self {
            database,
            file,
            unchecked: UNCHECKED,
        };
        Ok((tables, counts))
    }

    /// Commits a change: all of it or nothing. Returns the new counts.
    pub(super) fn commit(
        &mut self,
        counts: &Counts,
        change: impl FnOnce(&mut Change<'_>) -> Outcome<()>,
    ) -> Result<Counts, Failed> {
        let transaction = self.database.begin_write().map_err(StoreProblem::from)?;
        let mut counts = *counts;
        counts.sequence += 1;
        let mut added = 0;
        {
            let open = |table| transaction.open_table(table).map_err(StoreProblem::from);
            let mut tables = Change {
                messages: open(MESSAGES)?,
                dead_letters: open(DEAD_LETTERS)?,
                counts: &mut counts,
                file: self.file,
                added: &mut added,
            };
            change(&mut tables)?;
            let counts = tables.counts.to_bytes();
            let counted = tables.messages.insert(COUNTS, &counts[..]);
            counted.map_err(StoreProblem::from)?;
        }
        let unchecked = self.unchecked.saturating_add(added);
        let check = added > 0 && unchecked > UNCHECKED;
        if check {
            reserve_room(&transaction)?;
        }
        transaction.commit().map_err(|error| Failed {
            problem: error.into(),
            in_doubt: true,
        })?;
        self.unchecked = if check { 0 } else { unchecked };
        Ok(counts)
    }

    /// Calls `each` for the messages from this number on, in order, until it returns `Break`.
    pub(super) fn messages_from(
        &self,
        from: u64,
        each: impl FnMut(u64, Bytes) -> ControlFlow<()>,
    ) -> Outcome<()> {
        self.read(MESSAGES, from, each)
    }

    /// Calls `each` for the dead letters from this number on, in order, until it returns `Break`.
    pub(super) fn dead_letters_from(
        &self,
        from: u64,
        each: impl FnMut(u64, Bytes) -> ControlFlow<()>,
    ) -> Outcome<()> {
        self.read(DEAD_LETTERS, from, each)
    }

    fn read(
        &self,
        table: TableDefinition<'_, u64, &'static [u8]>,
        from: u64,
        mut each: impl FnMut(u64, Bytes) -> ControlFlow<()>,
    ) -> Outcome<()> {
        let table = self.database.begin_read()?.open_table(table)?;
        for row in table.range(from.min(LIMIT)..LIMIT)? {
            let (number, frame) = row?;
            let number = number.value();
            let (_, message) = frame::read(self.file, number, frame.value())?;
            if each(number, message.into()).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Returns unused pages at the end of the file to the file system.
    pub(super) fn compact(&mut self) -> Outcome<()> {
        match self.database.compact() {
            Ok(_) => Ok(()),
            Err(redb::CompactionError::Storage(error)) => Err(error.into()),
            Err(other) => Err(StoreProblem::damaged(other.to_string())),
        }
    }
}

/// The tables inside a transaction.
pub(super) struct Change<'a> {
    messages: Table<'a, u64, &'static [u8]>,
    dead_letters: Table<'a, u64, &'static [u8]>,
    counts: &'a mut Counts,
    file: u64,
    /// A rough count of the bytes that the change added.
    added: &'a mut u64,
}

impl Change<'_> {
    /// Adds messages. A number that is already there is replaced.
    pub(super) fn add(&mut self, batch: &[(u64, impl AsRef<[u8]>)]) -> Outcome<()> {
        let oldest = self.messages.first()?.map(|(number, _)| number.value());
        let oldest = oldest.filter(|&number| number != COUNTS);
        let first = batch.first().map_or(0, |(number, _)| *number);
        let floor = oldest.map_or(first, |oldest| oldest.min(first));
        for (number, message) in batch {
            if *number < self.counts.next {
                self.remove(&[*number])?;
            }
            let head = self.head(*number, floor, Kind::Message);
            let length = put(&mut self.messages, head, message.as_ref())?;
            self.took(length);
            self.counts.messages += 1;
            self.counts.next = self.counts.next.max(number + 1);
        }
        Ok(())
    }

    /// Removes messages. Unknown numbers are ignored.
    pub(super) fn remove(&mut self, numbers: &[u64]) -> Outcome<()> {
        for number in numbers.iter().filter(|&&number| number < LIMIT) {
            if let Some(old) = self.messages.remove(number)? {
                self.counts.bytes -= old.value().len() as u64;
                self.counts.messages -= 1;
            }
        }
        Ok(())
    }

    /// Turns a message into a dead letter. An unknown number is ignored.
    pub(super) fn bury(&mut self, number: u64, reason: &str) -> Outcome<()> {
        if number >= LIMIT {
            return Ok(());
        }
        let Some(row) = self.messages.remove(number)? else {
            return Ok(());
        };
        let (_, message) = frame::read(self.file, number, row.value())?;
        self.counts.bytes -= row.value().len() as u64;
        self.counts.messages -= 1;
        drop(row);
        let mut letter = (reason.len() as u32).to_le_bytes().to_vec();
        letter.extend(reason.as_bytes());
        letter.extend(message);
        self.add_dead_letter(number, &letter)
    }

    /// Adds a dead letter in its stored form.
    pub(super) fn add_dead_letter(&mut self, number: u64, letter: &[u8]) -> Outcome<()> {
        let head = self.head(number, 0, Kind::DeadLetter);
        let length = put(&mut self.dead_letters, head, letter)?;
        self.took(length);
        self.counts.dead_letters += 1;
        self.counts.next = self.counts.next.max(number + 1);
        Ok(())
    }

    /// Removes dead letters. Unknown numbers are ignored.
    pub(super) fn remove_dead_letters(&mut self, numbers: &[u64]) -> Outcome<()> {
        for number in numbers {
            if let Some(old) = self.dead_letters.remove(number)? {
                self.counts.bytes -= old.value().len() as u64;
                self.counts.dead_letters -= 1;
            }
        }
        Ok(())
    }

    /// Counts a frame of this length.
    fn took(&mut self, length: u64) {
        self.counts.bytes += length;
        // A page is at least half full.
        *self.added += 2 * length;
    }

    fn head(&self, number: u64, floor: u64, kind: Kind) -> Head {
        Head {
            file: self.file,
            number,
            sequence: self.counts.sequence,
            floor,
            kind,
        }
    }
}

/// Writes a frame. Returns its length.
fn put(table: &mut Table<'_, u64, &'static [u8]>, head: Head, message: &[u8]) -> Outcome<u64> {
    if head.number >= LIMIT {
        return Err(StoreProblem::NumberTooLarge);
    }
    let length = u32::try_from(HEAD + message.len()).map_err(|_| StoreProblem::TooLarge)?;
    let mut place = table.insert_reserve(head.number, length as usize)?;
    head.write(message, place.as_mut());
    Ok(length.into())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

/// Makes sure that [`ROOM`] bytes are free: writes that much into the scratch table, and removes it again.
fn reserve_room(transaction: &WriteTransaction) -> Outcome<()> {
    let mut scratch = transaction.open_table(SCRATCH)?;
    // In parts, because the database stores one row in adjacent pages.
    for part in 0..PARTS {
        scratch.insert_reserve(part, ROOM / PARTS as usize)?;
    }
    for part in 0..PARTS {
        scratch.remove(part)?;
    }
    Ok(())
}

fn read_counts(database: &Database) -> Outcome<Counts> {
    let unknown = || StoreProblem::damaged("its counts");
    let messages = match database.begin_read()?.open_table(MESSAGES) {
        Err(TableError::TableDoesNotExist(_)) => return Err(unknown()),
        messages => messages?,
    };
    let row = messages.get(COUNTS)?.ok_or_else(unknown)?;
    Counts::from_bytes(row.value()).ok_or_else(unknown)
}

impl From<redb::Error> for StoreProblem {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::ValueTooLarge(_) => Self::TooLarge,
            // The database's error for a file with other first bytes.
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::damaged(error.to_string())
            }
            redb::Error::Io(error) => error.into(),
            other => Self::damaged(other.to_string()),
        }
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreProblem {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

from_redb!(
    DatabaseError,
    redb::StorageError,
    TableError,
    redb::CommitError,
    redb::TransactionError
);
