//! Opening a store, by its options.

use super::backend::StorageBackend;
use super::disk_store::DiskStore;
use super::error::{StoreError, StoreProblem};
use super::opening;
use super::options::StoreOptions;
use super::salvage::Salvage;
use std::path::Path;

impl StoreOptions {
    /// Opens the store, or creates it if there is no such file. It repairs the effects of a crash or a power cut. It
    /// converts a file of the first format, which needs disk space for a second file. A file of the second format, which has no log,
    /// stays as it is, and an append to it writes more.
    ///
    /// # Errors
    ///
    /// See [`StoreProblem`]. A file that cannot be opened is not changed.
    ///
    /// ```
    /// use hangup::outbox::StoreOptions;
    /// use std::io::ErrorKind;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-options-open-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// drop(StoreOptions::new().open(&path)?); // makes the file
    /// let store = StoreOptions::new().open(&path)?;
    /// assert_eq!(store.info()?.messages(), 0);
    ///
    /// let missing = StoreOptions::new().open(directory.join("no/such/folder")).unwrap_err();
    /// assert_eq!(std::io::Error::from(missing).kind(), ErrorKind::NotFound);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<DiskStore, StoreError> {
        let path = path.as_ref();
        let opened = opening::open_file(path, self);
        match opened {
            Ok(opened) => Ok(DiskStore::new(path, self.clone(), opened)),
            Err(problem) => Err(StoreError::new(path, problem)),
        }
    }

    /// As [`open`](Self::open). If the file is damaged, this copies its intact messages into a new file, and keeps the
    /// damaged file under another name, with `.damaged` added.
    ///
    /// It finds every intact message that was kept and not yet removed. It may also find messages that were removed, which
    /// are then delivered again. Damaged messages are lost, and nobody can know how many there were. The bytes of a message
    /// cannot make it look like another message, whatever its sender chose.
    ///
    /// A part of the file that the disk cannot read is an error of the system here, and not damage, because it may pass. If it
    /// does not, copy the file with a program that passes over such parts, such as ddrescue, and salvage the copy.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). A damaged file is not an error here.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{Salvage, Store, StoreOptions, StoreProblem};
    /// use std::io::{Seek, SeekFrom, Write};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-options-salvage-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// let mut store = StoreOptions::new().open(&path)?;
    /// store.append(&[(0, Bytes::from("door opened"))])?;
    /// drop(store);
    ///
    /// // The disk corrupts a sector.
    /// let mut file = std::fs::OpenOptions::new().write(true).open(&path)?;
    /// file.seek(SeekFrom::Start(4096))?;
    /// file.write_all(&[0xff; 512])?;
    /// drop(file);
    ///
    /// let error = StoreOptions::new().open(&path).unwrap_err();
    /// assert!(matches!(error.problem(), StoreProblem::Damaged { whole: 1, .. }));
    /// let (mut store, salvage) = StoreOptions::new().salvage(&path)?;
    /// assert!(matches!(salvage, Salvage::Salvaged { messages: 1, .. }));
    /// assert_eq!(store.recover()?, [(0, Bytes::from("door opened"))]);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn salvage(&self, path: impl AsRef<Path>) -> Result<(DiskStore, Salvage), StoreError> {
        let path = path.as_ref();
        match self.open(path) {
            Ok(store) => Ok((store, Salvage::Sound)),
            Err(error) if matches!(error.problem(), StoreProblem::Damaged { .. }) => {
                match opening::salvage_file(path, self) {
                    Ok((opened, salvage)) => {
                        Ok((DiskStore::new(path, self.clone(), opened), salvage))
                    }
                    Err(problem) => Err(StoreError::new(path, problem)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Opens a store on a [backend](StorageBackend), or creates one if the backend has the size 0.
    ///
    /// After a power cut during the creation, [`open_backend`](Self::open_backend) refuses the backend. (This cannot happen
    /// to a file: it gets its name only when it is complete.) [`mode`](Self::mode) has no effect.
    ///
    /// # Errors
    ///
    /// See [`StoreProblem`]. A store of the previous format fails with [`OtherFormat`](StoreProblem::OtherFormat): only
    /// files are converted.
    ///
    /// # Examples
    ///
    /// A backend over a plain file. One for a partition or an encrypted file looks the same:
    ///
    /// ```
    /// use hangup::outbox::{StorageBackend, Store, StoreOptions};
    /// use std::fs::File;
    /// use std::io;
    ///
    /// #[derive(Debug)]
    /// struct OverFile(File);
    ///
    /// # #[cfg(unix)]
    /// impl StorageBackend for OverFile {
    ///     fn size(&self) -> io::Result<u64> {
    ///         Ok(self.0.metadata()?.len())
    ///     }
    ///     fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    ///         std::os::unix::fs::FileExt::read_exact_at(&self.0, buffer, offset)
    ///     }
    ///     fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
    ///         std::os::unix::fs::FileExt::write_all_at(&self.0, data, offset)
    ///     }
    ///     fn set_size(&self, size: u64) -> io::Result<()> {
    ///         self.0.set_len(size)
    ///     }
    ///     fn sync(&self) -> io::Result<()> {
    ///         self.0.sync_data()
    ///     }
    /// }
    ///
    /// # #[cfg(unix)]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("hangup-backend-{}", std::process::id()));
    /// let mut options = File::options();
    /// let file = options.read(true).write(true).create_new(true).open(&path)?;
    /// let mut store = StoreOptions::new().open_backend(OverFile(file))?;
    /// assert_eq!(store.recover()?, []);
    /// # drop(store);
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(unix))]
    /// # fn main() {}
    /// ```
    pub fn open_backend(&self, backend: impl StorageBackend) -> Result<DiskStore, StoreError> {
        match opening::open_backend(backend, self) {
            Ok(opened) => Ok(DiskStore::new(Path::new(""), self.clone(), opened)),
            Err(problem) => Err(StoreError::new(Path::new(""), problem)),
        }
    }
}
