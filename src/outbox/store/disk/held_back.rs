//! Changes that are held back.
//!
//! The database changes a file while it opens it, and may do so before it finds out that the file is damaged. So the
//! store first holds changes back in memory. Once the file is known to be intact, it makes them in the same order,
//! with the same barriers. A store that is opened read-only never makes them.

use super::backend::StorageBackend;
use std::collections::BTreeMap;
use std::io;

const PAGE: usize = 4096;

/// Changes that are not made yet.
#[derive(Debug)]
pub(super) struct HeldBack {
    pub(super) size: u64,
    /// The smallest size since the start. Bytes of the backend beyond it were cut off, and read as zeros.
    kept: u64,
    /// The pages that were written, with their content.
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
    /// The changes, in order.
    pub(super) steps: Vec<Step>,
}

/// A change that is held back.
#[derive(Debug)]
pub(super) enum Step {
    Write(u64, Vec<u8>),
    Size(u64),
    Sync,
}

impl HeldBack {
    /// Holds the changes of a file of `size` bytes back.
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            kept: size,
            pages: BTreeMap::new(),
            steps: Vec::new(),
        }
    }

    pub(super) fn read_at(
        &self,
        backend: &dyn StorageBackend,
        offset: u64,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        if end > self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let there = backend.size()?.min(self.kept).clamp(offset, end);
        let (below, beyond) = buffer.split_at_mut((there - offset) as usize);
        if !below.is_empty() {
            backend.read_at(offset, below)?;
        }
        beyond.fill(0);
        let first = offset / PAGE as u64;
        for (number, page) in self.pages.range(first..end.div_ceil(PAGE as u64)) {
            let start = number * PAGE as u64;
            let from = start.max(offset);
            let to = (start + PAGE as u64).min(end);
            buffer[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&page[(from - start) as usize..(to - start) as usize]);
        }
        Ok(())
    }

    pub(super) fn write_at(
        &mut self,
        backend: &dyn StorageBackend,
        offset: u64,
        data: &[u8],
    ) -> io::Result<()> {
        self.size = self.size.max(offset + data.len() as u64);
        let mut at = offset;
        while at < offset + data.len() as u64 {
            let number = at / PAGE as u64;
            let start = number * PAGE as u64;
            if !self.pages.contains_key(&number) {
                let mut page = Box::new([0; PAGE]);
                let length = (self.size - start).min(PAGE as u64) as usize;
                self.read_at(backend, start, &mut page[..length])?;
                self.pages.insert(number, page);
            }
            let end = (start + PAGE as u64).min(offset + data.len() as u64);
            if let Some(page) = self.pages.get_mut(&number) {
                page[(at - start) as usize..(end - start) as usize]
                    .copy_from_slice(&data[(at - offset) as usize..(end - offset) as usize]);
            }
            at = end;
        }
        self.steps.push(Step::Write(offset, data.to_vec()));
        Ok(())
    }

    pub(super) fn set_size(&mut self, size: u64) {
        self.size = size;
        self.kept = self.kept.min(size);
        self.pages.retain(|number, page| {
            let left = size.saturating_sub(number * PAGE as u64).min(PAGE as u64);
            page[left as usize..].fill(0);
            left > 0
        });
        self.steps.push(Step::Size(size));
    }
}
