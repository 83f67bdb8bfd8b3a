//! Reads files of format 1, the previous one: a database of redb 2, which redb 4 can read, from the first byte on.
//!
//! `opening` reads such a file once, and replaces it by a file of the present format.
//!
//! A message lies in a frame without the random number of the file and without a sequence:
//!
//! ```text
//! prefix 8 │ number 8 │ floor 8 │ length 4 │ checksum 4 │ message
//! ```

use super::error::{Outcome, StoreProblem};
use super::frame::{Format, Found, Head, Kind, LIMIT, PREVIOUS_PREFIX};
use super::region::{Layout, Region};
use super::store_file::{HEADER_SIZE, StoreFile};
use bytes::Bytes;
use crc32fast::Hasher;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use std::ops::ControlFlow;
use std::sync::Arc;

const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");
const FACTS: TableDefinition<&str, u64> = TableDefinition::new("outbox");

const HEAD: usize = 32;
const CACHE: usize = 4 * 1024 * 1024;

/// The first bytes of a file of redb.
const REDB: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// Format 1, for the scan of a damaged file. Its floor is ignored: a message could contain a frame with any floor.
pub(super) const FORMAT: Format = Format {
    prefix: PREVIOUS_PREFIX,
    head: HEAD,
    read: |head| {
        let number = u64::from_le_bytes(head.get(8..16)?.try_into().ok()?);
        let length = u32::from_le_bytes(head.get(24..28)?.try_into().ok()?);
        let checksum = u32::from_le_bytes(head.get(28..32)?.try_into().ok()?);
        let mut hasher = Hasher::new();
        hasher.update(&head[8..28]);
        let head = Head {
            file: 0,
            number,
            sequence: 0,
            floor: 0,
            kind: Kind::Message,
        };
        let found = Found::unmasked(head, length, checksum);
        (number < LIMIT).then_some((found, hasher))
    },
};

/// Whether the file begins like one of format 1. A later format has the first page of the database behind its own: if that
/// begins like a database too, the one before it was written to the wrong place.
pub(super) fn begins_like_one(file: &StoreFile) -> Outcome<bool> {
    Ok(has_database_at(file, 0)? && !has_database_at(file, HEADER_SIZE)?)
}

fn has_database_at(file: &StoreFile, at: u64) -> Outcome<bool> {
    let mut start = [0; REDB.len()];
    if file.size()? < at + start.len() as u64 {
        return Ok(false);
    }
    file.read_at(at, &mut start)?;
    Ok(start == REDB)
}

/// An intact store of format 1.
#[derive(Debug)]
pub(super) struct Legacy {
    database: Database,
    pub(super) next: u64,
}

impl Legacy {
    /// Opens the database. The caller must hold back the changes that redb makes while it opens.
    pub(super) fn open(file: &Arc<StoreFile>) -> Outcome<Self> {
        let region = Region::new(file, Layout { start: 0, log: 0 });
        let database = Builder::new()
            .set_cache_size(CACHE)
            .set_check_integrity_on_open(true)
            .create_with_backend(region)?;
        let next = {
            let facts = match database.begin_read()?.open_table(FACTS) {
                Err(TableError::TableDoesNotExist(_)) => return Err(StoreProblem::NotAStore),
                facts => facts?,
            };
            match facts.get("format")?.map(|format| format.value()) {
                Some(1) => {}
                Some(_) => return Err(StoreProblem::OtherFormat),
                None => return Err(StoreProblem::NotAStore),
            }
            facts.get("next")?.map_or(0, |next| next.value())
        };
        Ok(Self { database, next })
    }

    /// Calls `each` for every message, in order, until it breaks.
    pub(super) fn messages(
        &self,
        mut each: impl FnMut(u64, Bytes) -> ControlFlow<()>,
    ) -> Outcome<()> {
        let table = self.database.begin_read()?.open_table(MESSAGES)?;
        for row in table.iter()? {
            let (number, frame) = row?;
            let number = number.value();
            let message = read(number, frame.value())
                .ok_or_else(|| StoreProblem::damaged(format!("message {number}")))?;
            if each(number, Bytes::copy_from_slice(message)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The message of a frame; `None` if the frame is damaged or has another number.
fn read(number: u64, frame: &[u8]) -> Option<&[u8]> {
    let (head, message) = frame.split_at_checked(HEAD)?;
    let (found, mut hasher) = (FORMAT.read)(head)?;
    hasher.update(message);
    let matches = head.starts_with(&FORMAT.prefix)
        && found.head.number == number
        && found.length as usize == message.len()
        && found.is_whole(hasher);
    matches.then_some(message)
}
