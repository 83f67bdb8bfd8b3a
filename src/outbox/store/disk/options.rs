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
    /// The defaults: [`Fsync::Each`], mode `0600`, no limit of the disk space, read and write.
    ///
    /// ```
    /// # use hangup::outbox::StoreOptions;
    /// assert_eq!(StoreOptions::new(), StoreOptions::default());
    /// ```
    pub fn new() -> Self {
        Self {
            fsync: Fsync::Each,
            mode: 0o600,
            read_only: false,
            disk_capacity: u64::MAX,
        }
    }

    /// When the store waits until the disk has what was written. [`Fsync::Each`] by default.
    ///
    /// ```
    /// use hangup::outbox::{Fsync, StoreOptions};
    ///
    /// // Messages survive a crash of the program, but not a power cut.
    /// let options = StoreOptions::new().fsync(Fsync::Never);
    /// assert_ne!(options, StoreOptions::new());
    /// ```
    pub fn fsync(mut self, fsync: Fsync) -> Self {
        self.fsync = fsync;
        self
    }

    /// The permissions of a new file (`chmod(2)`), before the umask. Default: `0600`, because messages may be
    /// confidential. An existing file keeps its permissions, also when it is [salvaged](Self::salvage) or converted from an
    /// earlier format, and its owner as far as the program may set it (chown(2)). On Windows this has no effect.
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use hangup::outbox::StoreOptions;
    /// use std::os::unix::fs::PermissionsExt;
    ///
    /// # let directory = std::env::temp_dir().join(format!("hangup-mode-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// drop(StoreOptions::new().mode(0o640).open(&path)?); // a backup group may read it
    /// let mode = std::fs::metadata(&path)?.permissions().mode();
    /// assert_eq!(mode & 0o600, 0o600);
    /// assert_eq!(mode & 0o007, 0);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(unix))]
    /// # fn main() {}
    /// ```
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Opens the store without changing the file. The effects of a crash are repaired in memory only. Several processes may
    /// have a store open read-only at the same time, but not while a process has it open for writing. A file of the first format
    /// has to be opened for writing once, which converts it.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{Store, StoreOptions};
    /// use std::io::ErrorKind;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-read-only-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// drop(StoreOptions::new().open(&path)?);
    ///
    /// let mut store = StoreOptions::new().read_only(true).open(&path)?;
    /// assert_eq!(store.recover()?, []);
    /// let error = store.append(&[(0, Bytes::from("door opened"))]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// The bytes that messages and dead letters may take, each with a head of 60 bytes. No limit by default.
    ///
    /// Beyond it, [`append`](crate::outbox::Store::append) fails with
    /// [`StoreProblem::CapacityReached`](super::StoreProblem::CapacityReached), or with
    /// [`StoreProblem::LargerThanCapacity`](super::StoreProblem::LargerThanCapacity) for a single message that no delivery
    /// makes room for. The file is larger than this, because pages
    /// are not always full, and because the file doubles when it grows.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{Store, StoreOptions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-capacity-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let mut store = StoreOptions::new().disk_capacity(200).open(directory.join("outbox"))?;
    /// store.append(&[(0, Bytes::from(vec![0; 100]))])?; // counts as 160
    /// assert!(store.append(&[(1, Bytes::from(vec![0; 100]))]).is_err());
    /// store.remove(&[0])?;
    /// store.append(&[(1, Bytes::from(vec![0; 100]))])?;
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
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
