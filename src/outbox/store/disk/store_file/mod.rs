//! The layer between the database and the backend: the policy for barriers, changes that are held back, and the
//! answer to a barrier that failed.
//!
//! # A barrier that failed
//!
//! After a failed `fsync(2)` Linux marks the pages as clean: they can be read, they are not on the disk, and the next
//! call succeeds without writing them. So this layer remembers what was written since the last successful barrier.
//! After a failure it reads those bytes and writes them once more before anything else happens.

use super::backend::StorageBackend;
use super::fsync::Fsync;
use super::held_back::{HeldBack, Step};
use std::io;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the database begins: after the first page.
pub(super) const HEADER_SIZE: u64 = 4096;

/// A backend with these rules.
#[derive(Debug)]
pub(super) struct StoreFile {
    backend: Box<dyn StorageBackend>,
    fsync: Fsync,
    changes: Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    held_back: Option<HeldBack>,
    /// Positions and lengths that were written since the last successful barrier.
    unsynced: Vec<(u64, usize)>,
    /// Whether the last barrier failed.
    failed: bool,
}

impl StoreFile {
    pub(super) fn new(backend: impl StorageBackend, fsync: Fsync) -> Self {
        Self {
            backend: Box::new(backend),
            fsync,
            changes: Mutex::default(),
        }
    }

    pub(super) fn check_reachable(&self) -> io::Result<()> {
        self.backend.check_reachable()
    }

    /// Holds all further changes back.
    pub(super) fn hold_back(&self) -> io::Result<()> {
        let size = self.backend.size()?;
        self.changes().held_back = Some(HeldBack::new(size));
        Ok(())
    }

    /// Forgets the changes that were held back.
    pub(super) fn discard(&self) {
        self.changes().held_back = None;
    }

    /// Makes the changes that were held back, and holds back no more.
    pub(super) fn release(&self) -> io::Result<()> {
        let held_back = self.changes().held_back.take();
        for step in held_back.into_iter().flat_map(|held| held.steps) {
            match step {
                Step::Write(offset, data) => self.write_at(offset, &data)?,
                Step::Size(size) => self.set_size(size)?,
                Step::Sync => self.sync()?,
            }
        }
        Ok(())
    }

    pub(super) fn size(&self) -> io::Result<u64> {
        match &self.changes().held_back {
            Some(held) => Ok(held.size),
            None => self.backend.size(),
        }
    }

    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.changes().held_back {
            Some(held) => held.read_at(&*self.backend, offset, buffer),
            None => self.backend.read_at(offset, buffer),
        }
    }

    pub(super) fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changes = self.changes();
        if let Some(held) = &mut changes.held_back {
            return held.write_at(&*self.backend, offset, data);
        }
        // Recorded before the call, because a failed write may have written a part.
        if changes.unsynced.last() != Some(&(offset, data.len())) {
            changes.unsynced.push((offset, data.len()));
        }
        self.backend.write_at(offset, data)
    }

    pub(super) fn set_size(&self, size: u64) -> io::Result<()> {
        if let Some(held) = &mut self.changes().held_back {
            held.set_size(size);
            return Ok(());
        }
        self.backend.set_size(size)
    }

    /// A barrier, if the policy asks for one.
    pub(super) fn sync(&self) -> io::Result<()> {
        let mut changes = self.changes();
        if let Some(held) = &mut changes.held_back {
            held.steps.push(Step::Sync);
            return Ok(());
        }
        if self.fsync == Fsync::Each {
            self.backend.sync().inspect_err(|_| changes.failed = true)?;
        }
        changes.unsynced.clear();
        Ok(())
    }

    /// After a failed barrier: writes the affected bytes again, so that what can be read is also on the disk.
    pub(super) fn settle(&self) -> io::Result<()> {
        let mut changes = self.changes();
        if mem::take(&mut changes.failed) {
            // It counts as failed until this has succeeded.
            changes.failed = true;
            let size = self.backend.size()?;
            let mut buffer = Vec::new();
            for &(offset, length) in &changes.unsynced {
                let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(length);
                buffer.resize(length.min(left), 0);
                self.backend.read_at(offset, &mut buffer)?;
                self.backend.write_at(offset, &buffer)?;
            }
            self.backend.sync()?;
            changes.failed = false;
            changes.unsynced.clear();
        }
        Ok(())
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Debug, Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl StorageBackend for Memory {
        fn size(&self) -> io::Result<u64> {
            Ok(self.0.lock().unwrap().len() as u64)
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            let bytes = self.0.lock().unwrap();
            let range = bytes.get(offset as usize..offset as usize + buffer.len());
            buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let mut bytes = self.0.lock().unwrap();
            let end = offset as usize + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[offset as usize..end].copy_from_slice(data);
            Ok(())
        }

        fn set_size(&self, size: u64) -> io::Result<()> {
            self.0.lock().unwrap().resize(size as usize, 0);
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn all(file: &StoreFile) -> Vec<u8> {
        let mut bytes = vec![0; file.size().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_held_back_reads_as_if_it_was_written() {
        let memory = Memory::default();
        memory.write_at(0, &[1; 10_000]).unwrap();
        let file = StoreFile::new(memory.clone(), Fsync::Each);
        let plain = Memory::default();
        plain.write_at(0, &[1; 10_000]).unwrap();
        file.hold_back().unwrap();
        let change = |offset: u64, data: &[u8]| {
            file.write_at(offset, data).unwrap();
            plain.write_at(offset, data).unwrap();
            assert_eq!(all(&file), *plain.0.lock().unwrap());
        };
        let resize = |size| {
            file.set_size(size).unwrap();
            plain.set_size(size).unwrap();
            assert_eq!(all(&file), *plain.0.lock().unwrap());
        };
        change(4000, &[2; 200]);
        change(9_990, &[3; 5000]);
        resize(4_100);
        resize(30_000);
        change(20_000, &[4; 9000]);
        assert_eq!(*memory.0.lock().unwrap(), [1; 10_000]);
        file.release().unwrap();
        assert_eq!(*memory.0.lock().unwrap(), *plain.0.lock().unwrap());
    }
}
