//! The medium below a store: random access to bytes, and a barrier (`fsync(2)` for a file).

use std::fmt::Debug;
use std::io;

/// The bytes below a [`DiskStore`](super::DiskStore).
///
/// [`DiskStore::open`](super::DiskStore::open) uses a file. Another backend puts the store on another medium:
/// an encrypted file, a partition, or a recording for a test of power cuts
/// ([`StoreOptions::open_backend`](super::StoreOptions::open_backend)).
///
/// Calls come from one thread at a time. After an error the store reads its bytes again before it continues.
///
/// # What an implementation has to promise
///
/// 1. A read returns what was written last, whether or not it is synced.
/// 2. After [`sync`](Self::sync) has returned `Ok`, all earlier writes and sizes survive a power cut.
/// 3. Writes after the last `sync` may survive in any order, in part or not at all. A sector of 512 bytes is
///    written completely or not at all. The store relies on nothing more.
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
    /// Returns the size in bytes.
    ///
    /// # Errors
    ///
    /// If the medium does not report its size.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) beyond the end, or the error of the medium.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` at `offset`. A write beyond the end makes the size larger.
    ///
    /// # Errors
    ///
    /// The error of the medium. Some of the bytes may have been written.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Sets the size in bytes: drops the bytes beyond it, or appends zeros.
    ///
    /// # Errors
    ///
    /// [`StorageFull`](io::ErrorKind::StorageFull) if there is no room, or the error of the medium.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Returns when the size and everything that was written so far would survive a power cut.
    ///
    /// # Errors
    ///
    /// The error of the medium. After an error, any part of what was written since the last successful call may be
    /// lost, as on Linux (`fsync(2)`). The store therefore writes it again before it calls this once more.
    fn sync(&self) -> io::Result<()>;

    /// Checks that the next start will find these bytes. The store calls it before each append.
    ///
    /// The default returns `Ok`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) if the name of the bytes now belongs to another object, or to none;
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if the program may not look, which the store ignores.
    fn check_reachable(&self) -> io::Result<()> {
        Ok(())
    }
}
