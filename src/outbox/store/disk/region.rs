//! The part of the file that belongs to the database.
//!
//! ```text
//! header 4 KiB │ first page of the database 4 KiB │ log │ rest of the database
//! ```
//!
//! The log lies behind the first page of the database, and not before it, because the database itself is at the same place in a
//! file with a log and in a file without one.

use super::store_file::{HEADER_SIZE, StoreFile};
use std::io;
use std::sync::Arc;

/// The size of the first page of the database.
const FIRST: u64 = 4096;

/// Where the parts of the file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// The first byte of the database.
    pub(super) start: u64,
    /// The size of the log. 0 if the file has none.
    pub(super) log: usize,
}

impl Layout {
    /// A file with a header, and a log of this size.
    pub(super) fn with_log(log: usize) -> Self {
        Self {
            start: HEADER_SIZE,
            log,
        }
    }

    /// The first byte of the log.
    pub(super) fn log_start(self) -> u64 {
        self.start + FIRST
    }

    /// How much larger the file is than the database.
    pub(super) fn before(self) -> u64 {
        self.start + self.log as u64
    }

    /// Calls `each` with the place in the file, and the place in the buffer, of each part of the database that is
    /// together in the file.
    fn parts(
        self,
        offset: u64,
        length: usize,
        mut each: impl FnMut(u64, std::ops::Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        let first = (FIRST.saturating_sub(offset) as usize).min(length);
        if first > 0 {
            each(self.start + offset, 0..first)?;
        }
        if first < length {
            each(self.before() + offset + first as u64, first..length)?;
        }
        Ok(())
    }
}

/// The part of the file that belongs to the database.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) file: Arc<StoreFile>,
    pub(super) layout: Layout,
}

impl Region {
    pub(super) fn new(file: &Arc<StoreFile>, layout: Layout) -> Self {
        Self {
            file: file.clone(),
            layout,
        }
    }
}

impl redb::StorageBackend for Region {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.size()?.saturating_sub(self.layout.before()))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.layout.parts(offset, out.len(), |at, part| {
            self.file.read_at(at, &mut out[part])
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_size(self.layout.before() + len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.layout.parts(offset, data.len(), |at, part| {
            self.file.write_at(at, &data[part])
        })
    }
}
