//! The tables of the database: messages, dead letters, and counts.

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

/// Messages, each in a frame, by their numbers.
const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");
/// Dead letters, each in a frame, by the numbers of their messages.
const DEAD_LETTERS: TableDefinition<u64, &[u8]> = TableDefinition::new("dead letters");
/// [`Counts`], by name.
const COUNTS: TableDefinition<&str, u64> = TableDefinition::new("counts");
/// Nothing stays in it, see [`ROOM`].
const SCRATCH: TableDefinition<u64, &[u8]> = TableDefinition::new("scratch");

/// This much is free in the file whenever something was added: a removal needs pages too, and must not
/// need more disk, or a disk that this file has filled would stay full.
const ROOM: usize = 128 * 1024;

/// For pages, of which each is used about once.
const CACHE: usize = 4 * 1024 * 1024;

/// What is known of the tables without reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Above all numbers that were ever given.
    pub(super) next: u64,
    /// That of the last commit.
    pub(super) sequence: u64,
    pub(super) messages: u64,
    pub(super) dead_letters: u64,
    /// Of messages and dead letters, with their frames.
    pub(super) bytes: u64,
}

impl Counts {
    fn named(&mut self) -> [(&'static str, &mut u64); 5] {
        [
            ("next", &mut self.next),
            ("sequence", &mut self.sequence),
            ("messages", &mut self.messages),
            ("dead letters", &mut self.dead_letters),
            ("bytes", &mut self.bytes),
        ]
    }
}

/// An error of a commit, and whether the commit may have been made all the same.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) problem: StoreProblem,
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

#[derive(Debug)]
pub(super) struct Tables {
    database: Database,
    /// The random number of the file.
    file: u64,
}

impl Tables {
    /// Makes the tables in an empty region.
    pub(super) fn create(region: Region, file: u64, mut counts: Counts) -> Outcome<Self> {
        let database = builder().create_with_backend(region)?;
        let transaction = database.begin_write()?;
        transaction.open_table(MESSAGES)?;
        transaction.open_table(DEAD_LETTERS)?;
        write_counts(&transaction, &mut counts)?;
        reserve_room(&transaction)?;
        transaction.commit()?;
        Ok(Self { database, file })
    }

    /// Opens the tables. Every page in use is checked first.
    pub(super) fn open(region: Region, file: u64) -> Outcome<(Self, Counts)> {
        let database = builder()
            .set_check_integrity_on_open(true)
            .create_with_backend(region)?;
        let counts = read_counts(&database)?;
        Ok((Self { database, file }, counts))
    }

    /// Makes a change, all of it or nothing.
    pub(super) fn commit(
        &self,
        counts: &Counts,
        change: impl FnOnce(&mut Change<'_>) -> Outcome<()>,
    ) -> Result<Counts, Failed> {
        let transaction = self.database.begin_write().map_err(StoreProblem::from)?;
        let mut counts = *counts;
        counts.sequence += 1;
        let grows;
        {
            let mut tables = Change {
                messages: transaction
                    .open_table(MESSAGES)
                    .map_err(StoreProblem::from)?,
                dead_letters: transaction
                    .open_table(DEAD_LETTERS)
                    .map_err(StoreProblem::from)?,
                counts: &mut counts,
                file: self.file,
                grows: false,
            };
            change(&mut tables)?;
            grows = tables.grows;
        }
        write_counts(&transaction, &mut counts)?;
        if grows {
            reserve_room(&transaction)?;
        }
        transaction.commit().map_err(|error| Failed {
            problem: error.into(),
            in_doubt: true,
        })?;
        Ok(counts)
    }

    /// Calls `each` for the messages from this number on, in order, until it breaks.
    pub(super) fn messages_from(
        &self,
        from: u64,
        each: impl FnMut(u64, Bytes) -> ControlFlow<()>,
    ) -> Outcome<()> {
        self.read(MESSAGES, from, each)
    }

    /// Calls `each` for the dead letters from this number on, in order, until it breaks.
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
        for row in table.range(from..)? {
            let (number, frame) = row?;
            let number = number.value();
            let (_, message) = frame::read(self.file, number, frame.value())?;
            if each(number, message.into()).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Gives pages at the end of the file that are not used any more back to the system.
    pub(super) fn compact(&mut self) -> Outcome<()> {
        match self.database.compact() {
            Ok(_) => Ok(()),
            Err(redb::CompactionError::Storage(error)) => Err(error.into()),
            Err(other) => Err(StoreProblem::damaged(other.to_string())),
        }
    }
}

/// The tables while they are changed.
pub(super) struct Change<'a> {
    messages: Table<'a, u64, &'static [u8]>,
    dead_letters: Table<'a, u64, &'static [u8]>,
    counts: &'a mut Counts,
    file: u64,
    /// Something was added.
    grows: bool,
}

impl Change<'_> {
    pub(super) fn add(&mut self, batch: &[(u64, impl AsRef<[u8]>)]) -> Outcome<()> {
        let oldest = self.messages.first()?.map(|(number, _)| number.value());
        let first = batch.first().map_or(0, |(number, _)| *number);
        let floor = oldest.map_or(first, |oldest| oldest.min(first));
        self.grows = true;
        for (number, message) in batch {
            if *number < self.counts.next {
                self.remove(&[*number])?;
            }
            let head = self.head(*number, floor, Kind::Message);
            let added = put(&mut self.messages, head, message.as_ref())?;
            self.counts.bytes += added;
            self.counts.messages += 1;
            self.counts.next = self.counts.next.max(number + 1);
        }
        Ok(())
    }

    /// Removes messages; those that are not there are passed over.
    pub(super) fn remove(&mut self, numbers: &[u64]) -> Outcome<()> {
        for number in numbers {
            if let Some(old) = self.messages.remove(number)? {
                self.counts.bytes -= old.value().len() as u64;
                self.counts.messages -= 1;
            }
        }
        Ok(())
    }

    /// Makes a message a dead letter, if it is there.
    pub(super) fn bury(&mut self, number: u64, reason: &str) -> Outcome<()> {
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

    /// Adds a dead letter in the form that its frame holds.
    pub(super) fn add_dead_letter(&mut self, number: u64, letter: &[u8]) -> Outcome<()> {
        self.grows = true;
        let head = self.head(number, 0, Kind::DeadLetter);
        self.counts.bytes += put(&mut self.dead_letters, head, letter)?;
        self.counts.dead_letters += 1;
        self.counts.next = self.counts.next.max(number + 1);
        Ok(())
    }

    /// Removes dead letters; those that are not there are passed over.
    pub(super) fn remove_dead_letters(&mut self, numbers: &[u64]) -> Outcome<()> {
        for number in numbers {
            if let Some(old) = self.dead_letters.remove(number)? {
                self.counts.bytes -= old.value().len() as u64;
                self.counts.dead_letters -= 1;
            }
        }
        Ok(())
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

/// Returns the bytes that were added.
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

fn write_counts(transaction: &WriteTransaction, counts: &mut Counts) -> Outcome<()> {
    let mut table = transaction.open_table(COUNTS)?;
    for (name, count) in counts.named() {
        table.insert(name, *count)?;
    }
    Ok(())
}

fn reserve_room(transaction: &WriteTransaction) -> Outcome<()> {
    let mut scratch = transaction.open_table(SCRATCH)?;
    scratch.insert_reserve(0, ROOM)?;
    scratch.remove(0)?;
    Ok(())
}

fn read_counts(database: &Database) -> Outcome<Counts> {
    let table = match database.begin_read()?.open_table(COUNTS) {
        Err(TableError::TableDoesNotExist(_)) => {
            return Err(StoreProblem::damaged("its table of counts"));
        }
        table => table?,
    };
    let mut counts = Counts::default();
    for (name, count) in counts.named() {
        let Some(row) = table.get(name)? else {
            return Err(StoreProblem::damaged("its table of counts"));
        };
        *count = row.value();
    }
    Ok(counts)
}

impl From<redb::Error> for StoreProblem {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::ValueTooLarge(_) => Self::TooLarge,
            // The database says so of a file that begins with something else.
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
