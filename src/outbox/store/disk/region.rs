//! The part of the file that belongs to the database.

use super::store_file::{HEADER_SIZE, StoreFile};
use std::io;
use std::sync::Arc;

/// The part of the file that belongs to the database.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) file: Arc<StoreFile>,
    /// The first byte of the region.
    pub(super) start: u64,
}

impl Region {
    /// Everything after the first page.
    pub(super) fn behind_header(file: &Arc<StoreFile>) -> Self {
        Self {
            file: file.clone(),
            start: HEADER_SIZE,
        }
    }
}

impl redb::StorageBackend for Region {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.size()?.saturating_sub(self.start))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(self.start + offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_size(self.start + len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(self.start + offset, data)
    }
}
