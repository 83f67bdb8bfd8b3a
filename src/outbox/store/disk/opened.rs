//! The parts of an open store.

use super::counts::Counts;
use super::error::{Outcome, StoreProblem};
use super::header::{self, Header};
use super::options::StoreOptions;
use super::region::Region;
use super::store_file::StoreFile;
use super::tables::Tables;
use std::sync::Arc;

/// The parts of an open store.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<StoreFile>,
    pub(super) header: Header,
    pub(super) tables: Tables,
    pub(super) counts: Counts,
}

impl Opened {
    /// Creates an empty store.
    pub(super) fn create(file: Arc<StoreFile>, counts: Counts) -> Outcome<Self> {
        let header = Header::new();
        file.set_size(header::SIZE as u64)?;
        header.create(&file)?;
        let tables = Tables::create(Region::behind_header(&file), header.file, counts)?;
        Ok(Self {
            file,
            header,
            tables,
            counts,
        })
    }

    /// Checks the header and every page in use.
    pub(super) fn check(file: &Arc<StoreFile>) -> Outcome<Self> {
        let header = Header::read(file)?.ok_or(StoreProblem::NotAStore)?;
        if file.size()? == header::SIZE as u64 {
            return Err(StoreProblem::damaged("cut off behind its first page"));
        }
        let (tables, counts) = Tables::open(Region::behind_header(file), header.file)?;
        if counts.sequence < header.acknowledged {
            return Err(StoreProblem::damaged("its last commit"));
        }
        Ok(Self {
            file: file.clone(),
            header,
            tables,
            counts,
        })
    }

    /// Begins a session, whose sequences are above all sequences that any frame in the file may have.
    pub(super) fn ready(&mut self, options: &StoreOptions) -> Outcome<()> {
        let used = self.counts.sequence.max(self.header.acknowledged) >> 32;
        self.header.session = self.header.session.max(used) + 2;
        self.counts.sequence = self.header.session << 32;
        if !options.read_only {
            self.header.write_progress(&self.file)?;
            self.file.sync()?;
        }
        Ok(())
    }
}
