//! Opening a store, by its options.

use super::backend::StorageBackend;
use super::disk::DiskStore;
use super::error::{StoreError, StoreProblem};
use super::opening;
use super::options::StoreOptions;
use super::salvage::Salvage;
use std::path::Path;

impl StoreOptions {
    /// Opens the store, or makes it if there is no such file. What a crash or a power cut left is mended. A file of
    /// the format before is converted: that takes disk space for a second file.
    ///
    /// # Errors
    ///
    /// See [`StoreProblem`]. A file that cannot be opened is not changed.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<DiskStore, StoreError> {
        let path = path.as_ref();
        let opened = opening::open_file(path, self);
        match opened {
            Ok(opened) => Ok(DiskStore::new(path, self.clone(), opened)),
            Err(problem) => Err(StoreError::new(path, problem)),
        }
    }

    /// As [`open`](Self::open); but of a damaged file the whole messages are put into a new one, and the damaged
    /// one is kept under another name (`.damaged` is added to it).
    ///
    /// Every whole message is found that was kept and not yet removed. Some that were removed may be found
    /// too: they are delivered once more. What is damaged is lost, and how many messages that is cannot be known.
    /// A message cannot pose as another one, whatever bytes its sender chose.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for a damaged file.
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

    /// Opens a store on a [backend](StorageBackend), or makes one on a backend of size 0.
    ///
    /// A power cut while it is made leaves a backend that is refused; a file is complete before it gets its
    /// name. `mode` is without effect.
    ///
    /// # Errors
    ///
    /// See [`StoreProblem`]. [`OtherFormat`](StoreProblem::OtherFormat) for a store of the format before: it is
    /// converted in a file only.
    pub fn open_backend(&self, backend: impl StorageBackend) -> Result<DiskStore, StoreError> {
        match opening::open_backend(backend, self) {
            Ok(opened) => Ok(DiskStore::new(Path::new(""), self.clone(), opened)),
            Err(problem) => Err(StoreError::new(Path::new(""), problem)),
        }
    }
}
