//! What an error of the database means for the store.

use super::error::StoreProblem;
use redb::{DatabaseError, TableError};
use std::io;

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
