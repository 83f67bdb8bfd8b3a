//! Counts and sizes of a store.

use super::counts::Counts;

/// Counts and sizes of a [`DiskStore`](super::DiskStore), from [`DiskStore::info`](super::DiskStore::info).
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::{DiskStore, Fsync, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("hangup-store-info-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let mut store = DiskStore::open(directory.join("outbox"), Fsync::Each)?;
/// assert_eq!(store.info()?.bytes(), 0);
/// store.append(&[(0, Bytes::from(vec![0; 100]))])?;
///
/// let info = store.info()?;
/// assert_eq!(info.bytes(), 160); // the head of a message takes 60
/// assert!(info.file_size() > info.bytes());
/// assert_eq!(info.next_number(), 1);
/// # drop(store);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInfo {
    counts: Counts,
    file_size: u64,
}

impl StoreInfo {
    pub(super) fn new(counts: Counts, file_size: u64) -> Self {
        Self { counts, file_size }
    }

    /// The number of messages that wait for delivery. Dead letters do not count.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{DiskStore, Fsync, Store};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-info-messages-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let mut store = DiskStore::open(directory.join("outbox"), Fsync::Never)?;
    /// store.append(&[(0, Bytes::from("door opened")), (1, Bytes::from("door closed"))])?;
    /// store.remove(&[0])?; // it was confirmed
    /// assert_eq!(store.info()?.messages(), 1);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn messages(&self) -> u64 {
        self.counts.messages
    }

    /// The number of [dead letters](crate::outbox::DeadLetter). An operator should look at them:
    /// [`Store::dead_letters`](crate::outbox::Store::dead_letters) returns them with their reasons.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{DiskStore, Fsync, Store};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-info-dead-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let mut store = DiskStore::open(directory.join("outbox"), Fsync::Never)?;
    /// store.append(&[(0, Bytes::from("door 99 opened"))])?;
    /// store.bury(0, "unknown door")?;
    /// let info = store.info()?;
    /// assert_eq!((info.messages(), info.dead_letters()), (0, 1));
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn dead_letters(&self) -> u64 {
        self.counts.dead_letters
    }

    /// The total size of messages and dead letters in bytes, each with a head of 60 bytes.
    /// [`disk_capacity`](super::StoreOptions::disk_capacity) limits this number.
    ///
    /// To warn an operator before the store refuses messages:
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{Store, StoreOptions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-info-bytes-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// const CAPACITY: u64 = 1000;
    /// let mut store = StoreOptions::new().disk_capacity(CAPACITY).open(directory.join("outbox"))?;
    /// store.append(&[(0, Bytes::from(vec![7; 800]))])?;
    /// let is_nearly_full = store.info()?.bytes() > CAPACITY / 10 * 8;
    /// assert!(is_nearly_full);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bytes(&self) -> u64 {
        self.counts.bytes
    }

    /// The size of the file in bytes. It includes free pages, so it is larger than [`bytes`](Self::bytes), and may
    /// stay large for some time after deliveries: see [`DiskStore::compact`](super::DiskStore::compact).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{DiskStore, Fsync, Store};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-info-size-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// let mut store = DiskStore::open(&path, Fsync::Never)?;
    /// store.append(&[(0, Bytes::from(vec![7; 100_000]))])?;
    /// assert_eq!(store.info()?.file_size(), std::fs::metadata(&path)?.len());
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// The number of the next message.
    ///
    /// It never falls, so a number names one message for as long as the file exists:
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{DiskStore, Fsync, Store};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-info-next-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// let mut store = DiskStore::open(&path, Fsync::Never)?;
    /// store.append(&[(41, Bytes::from("door opened"))])?;
    /// store.remove(&[41])?;
    /// drop(store);
    /// assert_eq!(DiskStore::open(&path, Fsync::Never)?.info()?.next_number(), 42);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_number(&self) -> u64 {
        self.counts.next
    }
}
