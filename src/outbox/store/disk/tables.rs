//! The tables of the database: messages, dead letters, and counts.
//!
//! | table | key | value |
//! |---|---|---|
//! | `messages` | number | frame |
//! | `messages` | `u64::MAX` | [`Counts`] |
//! | `dead letters` | number | frame |
//! | `scratch` | | empty |

use super::change::{Change, Failed, oldest};
use super::counts::{COUNTS, Counts};
use super::error::{Outcome, StoreProblem};
use super::frame::{self, LIMIT};
use super::log::LOG;
use super::region::Region;
use bytes::Bytes;
use redb::{
    Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use std::ops::ControlFlow;

/// The messages by their numbers, and [`Counts`] after them. A commit writes the page of the newest messages in any
/// case, so the counts cost no page of their own.
const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");
/// The dead letters by the numbers of their messages.
const DEAD_LETTERS: TableDefinition<u64, &[u8]> = TableDefinition::new("dead letters");
/// Empty after each commit: see [`ROOM`].
const SCRATCH: TableDefinition<u64, &[u8]> = TableDefinition::new("scratch");

/// This many bytes are kept free in the file. A removal needs free pages before it frees others, and must not need
/// more disk space: otherwise a disk that this file has filled would stay full.
const ROOM: usize = 128 * 1024;
const PARTS: u64 = 4;

/// This many more bytes are kept free while messages are in the log, because they have to fit into the tables later. A page
/// may be half full, and each part of the tree has pages of its own.
const ROOM_FOR_LOG: usize = 3 * LOG;

/// How much space a commit keeps free for the next ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserve {
    /// For a removal.
    Removal,
    /// And for all that the log may hold.
    RemovalAndLog,
}

/// After this many added bytes the free space is checked again.
const UNCHECKED: u64 = 16 * 1024;

/// The cache of the database in bytes. Most pages are used about once, so a small one is enough.
const CACHE: usize = 4 * 1024 * 1024;

/// An open database.
#[derive(Debug)]
pub(super) struct Tables {
    database: Database,
    /// The random number of the file.
    file: u64,
    /// Bytes that were added since the free space was checked.
    unchecked: u64,
    /// The last check was for [`Reserve::RemovalAndLog`].
    has_room_for_log: bool,
    /// The sequence of the last commit.
    sequence: u64,
    /// The lowest number of a message.
    oldest: Option<u64>,
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
        reserve_room(&transaction, Reserve::RemovalAndLog)?;
        transaction.commit()?;
        Ok(Self {
            database,
            file,
            unchecked: 0,
            has_room_for_log: true,
            sequence: counts.sequence,
            oldest: None,
        })
    }

    /// Opens the tables, after a check of every page in use.
    pub(super) fn open(region: Region, file: u64) -> Outcome<(Self, Counts)> {
        let database = builder()
            .set_check_integrity_on_open(true)
            .create_with_backend(region)?;
        let (counts, oldest) = read_counts(&database)?;
        let tables = Self {
            database,
            file,
            unchecked: UNCHECKED,
            has_room_for_log: false,
            sequence: counts.sequence,
            oldest,
        };
        Ok((tables, counts))
    }

    /// Commits a change: all of it or nothing. Returns the new counts.
    pub(super) fn commit(
        &mut self,
        counts: &Counts,
        reserve: Reserve,
        change: impl FnOnce(&mut Change<'_>) -> Outcome<()>,
    ) -> Result<Counts, Failed> {
        let transaction = self.database.begin_write().map_err(StoreProblem::from)?;
        let mut counts = *counts;
        counts.sequence += 1;
        let mut added = 0;
        let oldest = {
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
            oldest(&tables.messages)?
        };
        let unchecked = self.unchecked.saturating_add(added);
        let for_log = reserve == Reserve::RemovalAndLog;
        let check = added > 0 && (unchecked > UNCHECKED || for_log && !self.has_room_for_log);
        if check {
            reserve_room(&transaction, reserve)?;
        }
        transaction.commit().map_err(|error| Failed {
            problem: error.into(),
            in_doubt: true,
        })?;
        if check {
            self.has_room_for_log = for_log;
        }
        self.unchecked = if check { 0 } else { unchecked };
        self.sequence = counts.sequence;
        self.oldest = oldest;
        Ok(counts)
    }

    /// Whether all that the log may hold fits into the tables without more disk space.
    pub(super) fn has_room_for_log(&self) -> bool {
        self.has_room_for_log
    }

    /// The sequence of the last commit.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The lowest number of a message.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.oldest
    }

    /// Calls `each` for the messages from this number on, in order, until it returns `Break`.
    pub(super) fn messages_from(
        &self,
        from: u64,
        each: impl FnMut(u64, Bytes) -> ControlFlow<()>,
    ) -> Outcome<ControlFlow<()>> {
        self.read(MESSAGES, from, each)
    }

    /// Calls `each` for the dead letters from this number on, in order, until it returns `Break`.
    pub(super) fn dead_letters_from(
        &self,
        from: u64,
        each: impl FnMut(u64, Bytes) -> ControlFlow<()>,
    ) -> Outcome<()> {
        self.read(DEAD_LETTERS, from, each).map(drop)
    }

    /// The size of the dead letters, with their heads.
    pub(super) fn dead_letter_bytes(&self) -> Outcome<u64> {
        let table = self.database.begin_read()?.open_table(DEAD_LETTERS)?;
        let mut bytes = 0;
        for row in table.iter()? {
            bytes += row?.1.value().len() as u64;
        }
        Ok(bytes)
    }

    fn read(
        &self,
        table: TableDefinition<'_, u64, &'static [u8]>,
        from: u64,
        mut each: impl FnMut(u64, Bytes) -> ControlFlow<()>,
    ) -> Outcome<ControlFlow<()>> {
        let table = self.database.begin_read()?.open_table(table)?;
        for row in table.range(from.min(LIMIT)..LIMIT)? {
            let (number, frame) = row?;
            let number = number.value();
            let (_, message) = frame::read(self.file, number, frame.value())?;
            if each(number, message.into()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Returns unused pages at the end of the file to the file system.
    pub(super) fn compact(&mut self) -> Outcome<()> {
        self.has_room_for_log = false;
        self.unchecked = UNCHECKED;
        match self.database.compact() {
            Ok(_) => Ok(()),
            Err(redb::CompactionError::Storage(error)) => Err(error.into()),
            Err(other) => Err(StoreProblem::damaged(other.to_string())),
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

/// Makes sure that this much is free: writes as many bytes into the scratch table, and removes them again.
fn reserve_room(transaction: &WriteTransaction, reserve: Reserve) -> Outcome<()> {
    let room = match reserve {
        Reserve::Removal => ROOM,
        Reserve::RemovalAndLog => ROOM + ROOM_FOR_LOG,
    };
    let mut scratch = transaction.open_table(SCRATCH)?;
    // In parts, because the database stores one row in adjacent pages.
    for part in 0..PARTS {
        scratch.insert_reserve(part, room / PARTS as usize)?;
    }
    for part in 0..PARTS {
        scratch.remove(part)?;
    }
    Ok(())
}

/// The counts, and the lowest number of a message.
fn read_counts(database: &Database) -> Outcome<(Counts, Option<u64>)> {
    let unknown = || StoreProblem::damaged("its counts");
    let messages = match database.begin_read()?.open_table(MESSAGES) {
        Err(TableError::TableDoesNotExist(_)) => return Err(unknown()),
        messages => messages?,
    };
    let row = messages.get(COUNTS)?.ok_or_else(unknown)?;
    let counts = Counts::from_bytes(row.value()).ok_or_else(unknown)?;
    Ok((counts, oldest(&messages)?))
}
