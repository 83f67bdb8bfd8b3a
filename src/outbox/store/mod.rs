//! Where a durable outbox keeps its messages.

#[cfg(feature = "durable")]
mod disk;
#[cfg(feature = "durable")]
mod error;
#[cfg(feature = "durable")]
mod file;
#[cfg(feature = "durable")]
mod frame;

#[cfg(feature = "durable")]
pub use disk::{DiskStore, Salvage};
#[cfg(feature = "durable")]
pub use error::{StoreError, StoreProblem};

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
    /// If it cannot be kept.
    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()>;

    /// Forgets messages. Those that it does not have are passed over.
    ///
    /// # Errors
    ///
    /// If they cannot be forgotten; they will be delivered once more then.
    fn remove(&mut self, numbers: &[u64]) -> io::Result<()>;
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
