//! The layer between the database and the backend: the policy for barriers, changes that are held back, and the
//! answer to a barrier that failed.
//!
//! # A barrier that failed
//!
//! After a failed `fsync(2)` Linux marks the pages as clean: they can be read, they are not on the disk, and the next
//! call succeeds without writing them. So this layer remembers what was written since the last successful barrier.
//! After a failure, the next barrier reads those bytes and writes them once more, whoever asks for it.
//!
//! A program that ends before that leaves a file that reads well, and lacks bytes on the disk. So a failure is noted in the
//! first page, and the next opening writes the whole file again. The note itself need not get to the disk: after a power cut,
//! only what is on the disk can be read. If the note cannot be written either, and the program ends then, nothing tells of the
//! failure.

#[cfg(test)]
mod tests;

use super::backend::StorageBackend;
use super::fsync::Fsync;
use super::held_back::{HeldBack, Step};
use std::io;
use std::mem;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the database begins: after the first page.
pub(super) const HEADER_SIZE: u64 = 4096;
/// The place of the note in the first page: 1 after a failed barrier.
pub(super) const BARRIER_FAILED: u64 = 3 * 512;

/// How many bytes are written again at a time.
const REWRITE: usize = 256 * 1024;

/// A backend with these rules.
#[derive(Debug)]
pub(super) struct StoreFile {
    backend: Box<dyn StorageBackend>,
    fsync: Fsync,
    /// The process that opened it.
    owner: u32,
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
            owner: process::id(),
            changes: Mutex::default(),
        }
    }

    /// The copy that a forked child of this process would have.
    #[cfg(test)]
    pub(super) fn forked(mut self) -> Self {
        self.owner += 1;
        self
    }

    /// Whether this is the copy of a forked child.
    pub(super) fn is_forked(&self) -> bool {
        self.owner != process::id()
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
        match self.fsync {
            Fsync::Each => self.barrier(),
            Fsync::Never => {
                let mut changes = self.changes();
                if let Some(held) = &mut changes.held_back {
                    held.steps.push(Step::Sync);
                } else {
                    changes.unsynced.clear();
                }
                Ok(())
            }
        }
    }

    /// A barrier, whatever the policy is.
    pub(super) fn barrier(&self) -> io::Result<()> {
        let mut changes = self.changes();
        if let Some(held) = &mut changes.held_back {
            held.steps.push(Step::Sync);
            return Ok(());
        }
        // It counts as failed until it has succeeded.
        let after_failure = mem::replace(&mut changes.failed, true);
        let again = match after_failure {
            true => self.write_again(changes.unsynced.iter().copied()),
            false => Ok(()),
        };
        again
            .and_then(|()| self.backend.sync())
            .inspect_err(|_| self.note_failure())?;
        changes.failed = false;
        changes.unsynced.clear();
        if after_failure {
            self.erase_note(&mut changes);
        }
        Ok(())
    }

    /// Without this note, the next opening would trust what it reads. It is written once more when the store is dropped.
    fn note_failure(&self) {
        let _ = self.backend.write_at(BARRIER_FAILED, &[1]);
    }

    /// Erases the note of a failed barrier. If that is lost, the next opening writes the file once more, without need.
    fn erase_note(&self, changes: &mut Changes) {
        changes.unsynced.push((BARRIER_FAILED, 1));
        let _ = self.backend.write_at(BARRIER_FAILED, &[0]);
    }

    /// Writes the whole file again, as it reads, and waits for the disk: see "A barrier that failed".
    pub(super) fn rewrite(&self) -> io::Result<()> {
        let parts = (0..self.backend.size()?).step_by(REWRITE);
        self.write_again(parts.map(|at| (at, REWRITE)))?;
        self.backend.sync()?;
        self.erase_note(&mut self.changes());
        Ok(())
    }

    /// After a failed barrier: makes it, so that what can be read is also on the disk.
    pub(super) fn settle(&self) -> io::Result<()> {
        let failed = self.changes().failed;
        match failed {
            true => self.barrier(),
            false => Ok(()),
        }
    }

    /// Writes these places as they read, as far as they are in the file.
    fn write_again(&self, places: impl Iterator<Item = (u64, usize)>) -> io::Result<()> {
        let size = self.backend.size()?;
        let mut buffer = Vec::new();
        for (offset, length) in places {
            let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(length);
            buffer.resize(length.min(left), 0);
            self.backend.read_at(offset, &mut buffer)?;
            self.backend.write_at(offset, &buffer)?;
        }
        Ok(())
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StoreFile {
    fn drop(&mut self) {
        let failed = self.changes().failed;
        if failed && !self.is_forked() {
            self.note_failure();
        }
    }
}
