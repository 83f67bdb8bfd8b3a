//! The database of the store, without what the store adds.

use bytes::Bytes;
use hangup::outbox::{Fsync, Store};
use redb::{Database, Durability, TableDefinition, WriteTransaction};
use std::io;
use std::path::Path;

const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");

#[derive(Debug)]
pub(crate) struct Redb {
    database: Database,
    fsync: Fsync,
}

impl Redb {
    pub(crate) fn open(path: &Path, fsync: Fsync) -> Result<Self, redb::Error> {
        let database = Database::create(path)?;
        Ok(Self { database, fsync })
    }

    fn commit(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        if self.fsync == Fsync::Never {
            transaction.set_durability(Durability::None)?;
        }
        change(&transaction)?;
        Ok(transaction.commit()?)
    }
}

impl Store for Redb {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        Ok(Vec::new())
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Ok(0)
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        self.commit(|transaction| {
            let mut messages = transaction.open_table(MESSAGES)?;
            for (number, message) in batch {
                messages.insert(number, &message[..])?;
            }
            Ok(())
        })
        .map_err(io::Error::other)
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        self.commit(|transaction| {
            let mut messages = transaction.open_table(MESSAGES)?;
            for number in numbers {
                messages.remove(number)?;
            }
            Ok(())
        })
        .map_err(io::Error::other)
    }
}
