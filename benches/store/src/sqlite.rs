//! A store in SQLite.

use bytes::Bytes;
use hangup::outbox::{Fsync, Store};
use rusqlite::{Connection, params};
use std::io;
use std::path::Path;

pub(crate) struct Sqlite(Connection);

impl Sqlite {
    pub(crate) fn open(path: &Path, fsync: Fsync) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let synchronous = match fsync {
            Fsync::Each => "FULL",
            _ => "OFF",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.execute(
            "CREATE TABLE messages (number INTEGER PRIMARY KEY, message BLOB NOT NULL)",
            [],
        )?;
        Ok(Self(connection))
    }
}

impl Store for Sqlite {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        let mut append = || {
            let transaction = self.0.transaction()?;
            {
                let mut insert =
                    transaction.prepare_cached("INSERT INTO messages VALUES (?1, ?2)")?;
                for (number, message) in batch {
                    insert.execute(params![*number as i64, &message[..]])?;
                }
            }
            transaction.commit()
        };
        append().map_err(io::Error::other)
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        let mut remove = || {
            let transaction = self.0.transaction()?;
            {
                let mut delete =
                    transaction.prepare_cached("DELETE FROM messages WHERE number = ?1")?;
                for number in numbers {
                    delete.execute([*number as i64])?;
                }
            }
            transaction.commit()
        };
        remove().map_err(io::Error::other)
    }
}
