//! The parts of an open store.

use super::counts::Counts;
use super::error::{Outcome, StoreProblem};
use super::header::{self, Header};
use super::log::Log;
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
    pub(super) log: Log,
    pub(super) counts: Counts,
}

impl Opened {
    /// Creates an empty store.
    pub(super) fn create(file: Arc<StoreFile>, counts: Counts) -> Outcome<Self> {
        let header = Header::new();
        file.set_size(header::SIZE as u64)?;
        header.create(&file)?;
        let region = Region::new(&file, header.layout);
        let tables = Tables::create(region, header.file, counts)?;
        // The blocks of the log are written once here. Otherwise the file system would have to record, in a further write, that
        // a block has content (ext4: unwritten extents).
        file.write_at(header.layout.log_start(), &vec![0; header.layout.log])?;
        file.sync()?;
        Ok(Self {
            file,
            header,
            tables,
            log: Log::empty(header.layout, header.file),
            counts,
        })
    }

    /// Checks the header and every page in use.
    pub(super) fn check(file: &Arc<StoreFile>) -> Outcome<Self> {
        let header = Header::read(file)?.ok_or(StoreProblem::NotAStore)?;
        // The database would create itself in an empty region.
        if file.size()? <= header.layout.before() {
            return Err(StoreProblem::damaged("cut off behind its first page"));
        }
        let region = Region::new(file, header.layout);
        let (tables, mut counts) = Tables::open(region, header.file)?;
        let log = Log::read(file, header.layout, header.file, &mut counts)?;
        if counts.sequence < header.acknowledged {
            return Err(StoreProblem::damaged("its last commit"));
        }
        Ok(Self {
            file: file.clone(),
            header,
            tables,
            log,
            counts,
        })
    }

    /// Begins a session, whose sequences are above all sequences that any frame in the file may have.
    ///
    /// This waits for the disk also if the policy is `Never`. Otherwise a power cut could leave frames of a session that the
    /// header does not know, and the next session would use their sequences again.
    pub(super) fn ready(&mut self, options: &StoreOptions) -> Outcome<()> {
        let used = self.counts.sequence.max(self.header.acknowledged) >> 32;
        self.header.session = self.header.session.max(used) + 2;
        self.counts.sequence = self.header.session << 32;
        if !options.read_only {
            self.header.write_progress(&self.file)?;
            self.file.barrier()?;
        }
        Ok(())
    }
}
