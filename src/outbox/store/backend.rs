//! The medium below a store: random access to bytes, and a barrier.

use std::fmt::Debug;
use std::io;

/// The bytes below a [`DiskStore`](super::DiskStore).
///
/// [`DiskStore::open`](super::DiskStore::open) uses a file. Another backend puts the store on another medium:
/// an encrypted file, a partition, or a recording for a test of power cuts
/// ([`StoreOptions::open_backend`](super::StoreOptions::open_backend)).
///
/// Calls come from one thread at a time. After an error the store reads its bytes again before it goes on.
///
/// # Examples
///
/// A store in memory:
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::{StorageBackend, Store, StoreOptions};
/// use std::io;
/// use std::sync::{Arc, Mutex};
///
/// #[derive(Debug, Clone, Default)]
/// struct Memory(Arc<Mutex<Vec<u8>>>);
///
/// impl StorageBackend for Memory {
///     fn size(&self) -> io::Result<u64> {
///         Ok(self.0.lock().unwrap().len() as u64)
///     }
///     fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
///         let bytes = self.0.lock().unwrap();
///         let range = bytes.get(offset as usize..offset as usize + buffer.len());
///         buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
///         Ok(())
///     }
///     fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
///         let mut bytes = self.0.lock().unwrap();
///         let end = offset as usize + data.len();
///         if bytes.len() < end {
///             bytes.resize(end, 0);
///         }
///         bytes[offset as usize..end].copy_from_slice(data);
///         Ok(())
///     }
///     fn set_size(&self, size: u64) -> io::Result<()> {
///         self.0.lock().unwrap().resize(size as usize, 0);
///         Ok(())
///     }
///     fn sync(&self) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = Memory::default();
/// let mut store = StoreOptions::new().open_backend(memory.clone())?;
/// store.append(&[(0, Bytes::from("door opened"))])?;
/// drop(store);
///
/// let mut store = StoreOptions::new().open_backend(memory)?;
/// assert_eq!(store.recover()?, [(0, Bytes::from("door opened"))]);
/// # Ok(())
/// # }
/// ```
pub trait StorageBackend: Debug + Send + Sync + 'static {
    /// The number of bytes.
    ///
    /// # Errors
    ///
    /// If the medium does not report its size.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) beyond the end; whatever the medium reports.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    ///
    /// Whatever the medium reports. Some of the bytes may have been written.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Sets the number of bytes: cuts the rest off, or adds zeros.
    ///
    /// # Errors
    ///
    /// [`StorageFull`](io::ErrorKind::StorageFull) if there is no room; whatever the medium reports.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Returns as soon as the size and everything that was written so far survive a power cut.
    ///
    /// # Errors
    ///
    /// Whatever the medium reports. After an error any part of what was written since the last successful call
    /// may be lost, as on Linux (`fsync(2)`): the store writes it again before it calls this once more.
    fn sync(&self) -> io::Result<()>;

    /// Checks that the next start will find these bytes. Called before each append.
    ///
    /// The default finds no fault.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) if the name of the bytes now belongs to others, or to none.
    fn check_reachable(&self) -> io::Result<()> {
        Ok(())
    }
}
