//! Where a durable outbox keeps its messages: the trait of every store, and a store in a file.
//!
//! It may use nothing of the outbox. The engine of the outbox and `hangup-store` use it.

#[cfg(feature = "durable")]
mod backend;
mod dead_letter;
#[cfg(feature = "durable")]
mod disk;
#[cfg(feature = "durable")]
mod error;
#[cfg(feature = "durable")]
mod file;
#[cfg(feature = "durable")]
mod frame;
#[cfg(feature = "durable")]
mod header;
#[cfg(feature = "durable")]
mod info;
#[cfg(feature = "durable")]
mod legacy;
#[cfg(feature = "durable")]
mod open;
#[cfg(feature = "durable")]
mod opening;
#[cfg(feature = "durable")]
mod options;
#[cfg(feature = "durable")]
mod salvage;
#[cfg(feature = "durable")]
mod scan;
#[cfg(feature = "durable")]
mod store_file;
#[cfg(feature = "durable")]
mod tables;

#[cfg(feature = "durable")]
pub use backend::StorageBackend;
pub use dead_letter::DeadLetter;
#[cfg(feature = "durable")]
pub use disk::DiskStore;
#[cfg(feature = "durable")]
pub use error::{StoreError, StoreProblem};
#[cfg(feature = "durable")]
pub use info::StoreInfo;
#[cfg(feature = "durable")]
pub use options::StoreOptions;
#[cfg(feature = "durable")]
pub use salvage::Salvage;

use bytes::Bytes;
use std::error::Error;
use std::io;

/// Where a durable outbox keeps its messages.
///
/// Its calls block, and are made one at a time, off the runtime's workers.
pub trait Store: Send + 'static {
    /// What is kept, in the order of the numbers.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>>;

    /// The kept messages whose number is at least `from`, in the order of the numbers, with `max_bytes` of messages
    /// in all, or one message. Empty if there is none: so a backlog that does not fit into memory is read page by
    /// page.
    ///
    /// The default takes them out of [`recover`](Self::recover).
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn recover_page(&mut self, from: u64, max_bytes: usize) -> io::Result<Vec<(u64, Bytes)>> {
        let mut bytes = 0_usize;
        let mut page = self.recover()?;
        page.retain(|(number, _)| *number >= from);
        let fitting = page.iter().take_while(|(_, message)| {
            bytes = bytes.saturating_add(message.len());
            bytes <= max_bytes
        });
        let length = fitting.count().max(1);
        page.truncate(length);
        Ok(page)
    }

    /// How many messages are kept, and roughly how many bytes they have.
    ///
    /// The default counts what [`recover`](Self::recover) returns.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn totals(&mut self) -> io::Result<(u64, u64)> {
        let kept = self.recover()?;
        let bytes = kept.iter().map(|(_, message)| message.len() as u64);
        Ok((kept.len() as u64, bytes.sum()))
    }

    /// Above all the numbers that were ever given to [`append`](Self::append): numbers go on from here, so
    /// that none names two messages.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn next_number(&mut self) -> io::Result<u64>;

    /// Keeps a batch: all of it or nothing, and for good when it returns. The numbers grow.
    ///
    /// # Errors
    ///
    /// If it cannot be kept. [`QuotaExceeded`](io::ErrorKind::QuotaExceeded) says that it would fit if other messages
    /// were removed: the outbox does as [`Builder::overflow`](super::Builder::overflow) says.
    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()>;

    /// Forgets messages. Those that it does not have are passed over.
    ///
    /// # Errors
    ///
    /// If they cannot be forgotten; they will be delivered once more then.
    fn remove(&mut self, numbers: &[u64]) -> io::Result<()>;

    /// Makes a kept message a dead letter: it is not recovered any more, and stays until it is
    /// [removed](Self::remove_dead_letters). A number that the store does not have is passed over.
    ///
    /// The default store has no place for dead letters.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) by default: the message stays where it is. If it cannot be
    /// written.
    fn bury(&mut self, number: u64, reason: &str) -> io::Result<()> {
        let _ = (number, reason);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The dead letters, in the order of their numbers. None by default.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn dead_letters(&mut self) -> io::Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }

    /// Removes dead letters. Those that it does not have are passed over.
    ///
    /// # Errors
    ///
    /// If they cannot be removed.
    fn remove_dead_letters(&mut self, numbers: &[u64]) -> io::Result<()> {
        let _ = numbers;
        Ok(())
    }
}

/// When a store on disk waits until the disk has what was written (`fsync(2)`). What that promises,
/// [`DiskStore`] says.
#[cfg(feature = "durable")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Fsync {
    /// Before a message counts as accepted: it survives a power cut. Sends that wait together share it.
    #[default]
    Each,
    /// Never: the operating system writes when it likes to. An accepted message survives the end of the
    /// process, and not a power cut.
    Never,
}

/// A message that can be kept on disk.
pub trait Record: Sized {
    /// The message as bytes.
    fn to_bytes(&self) -> Bytes;

    /// The message back.
    ///
    /// # Errors
    ///
    /// If the bytes are none that [`to_bytes`](Self::to_bytes) made.
    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>>;
}

impl Record for Bytes {
    fn to_bytes(&self) -> Bytes {
        self.clone()
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(bytes)
    }
}

impl Record for Vec<u8> {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self)
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(bytes.into())
    }
}

impl Record for String {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self::from_utf8(bytes.into())?)
    }
}
