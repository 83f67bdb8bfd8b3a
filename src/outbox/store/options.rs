//! How a store on disk is opened.

use super::Fsync;

/// How a [`DiskStore`](super::DiskStore) is opened.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::{Fsync, Store, StoreOptions};
/// use std::io::ErrorKind;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("hangup-options-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let path = directory.join("outbox");
/// let options = StoreOptions::new().fsync(Fsync::Never).disk_capacity(1000);
/// let mut store = options.open(&path)?;
/// store.append(&[(0, Bytes::from(vec![0; 800]))])?;
/// let error = store.append(&[(1, Bytes::from(vec![0; 800]))]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
/// # drop(store);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct StoreOptions {
    pub(super) fsync: Fsync,
    pub(super) mode: u32,
    pub(super) read_only: bool,
    pub(super) disk_capacity: u64,
}

impl StoreOptions {
    /// [`Fsync::Each`], mode `0600`, no limit of the disk space, read and write.
    pub fn new() -> Self {
        Self {
            fsync: Fsync::Each,
            mode: 0o600,
            read_only: false,
            disk_capacity: u64::MAX,
        }
    }

    /// When the store waits until the disk has what was written. [`Fsync::Each`] by default.
    pub fn fsync(mut self, fsync: Fsync) -> Self {
        self.fsync = fsync;
        self
    }

    /// The permissions of a new file (`chmod(2)`), before the umask. `0600` by default: messages are nobody
    /// else's. A file that is there keeps its own. Without effect on Windows.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Opens without changing the file: what a crash left is mended in memory only. Several processes may have
    /// a store open in this way at a time, and none besides for writing.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// The bytes that messages and dead letters may take, each with a head of 60 bytes. No limit by default.
    ///
    /// Beyond it [`append`](super::Store::append) fails with [`StoreProblem::CapacityReached`](super::StoreProblem::CapacityReached). The file is
    /// larger: pages are filled to two thirds or more, and the file doubles when it grows.
    pub fn disk_capacity(mut self, bytes: u64) -> Self {
        self.disk_capacity = bytes;
        self
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::new()
    }
}
