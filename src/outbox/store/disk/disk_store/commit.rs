//! Commits of changes, and what follows a commit that failed.

use super::DiskStore;
use crate::outbox::store::disk::change::{Change, Failed};
use crate::outbox::store::disk::counts::Counts;
use crate::outbox::store::disk::error::{Outcome, StoreProblem};
use crate::outbox::store::disk::region::Region;
use crate::outbox::store::disk::tables::Tables;

/// The store compacts a file on its own only if the file has at least this many bytes.
const COMPACT: u64 = 4 * 1024 * 1024;

impl DiskStore {
    /// The tables. Opens the database again if the previous call failed, because redb answers nothing after an I/O
    /// error.
    ///
    /// The caller puts the tables back if they are still usable.
    pub(super) fn ready(&mut self) -> Outcome<Tables> {
        if let Some(tables) = self.tables.take() {
            return Ok(tables);
        }
        self.file.settle()?;
        let region = Region::behind_header(&self.file);
        let (mut tables, counts) = Tables::open(region, self.header.file)?;
        if counts.sequence < self.header.acknowledged {
            return Err(StoreProblem::damaged("its last commit"));
        }
        self.counts = Counts {
            // A commit that failed has used its sequence and its numbers.
            sequence: self.counts.sequence.max(counts.sequence),
            next: self.counts.next.max(counts.next),
            ..counts
        };
        if !self.in_doubt.is_empty() {
            let removed = tables.commit(&self.counts, |change| change.remove(&self.in_doubt));
            self.counts.sequence += 1;
            self.counts = removed.map_err(|failed| failed.problem)?;
            self.in_doubt.clear();
        }
        Ok(tables)
    }

    /// Fails if the store was opened read-only.
    pub(super) fn writable(&self) -> Outcome<()> {
        if self.options.read_only {
            return Err(StoreProblem::ReadOnly);
        }
        Ok(())
    }

    /// Commits a change. After an error the tables are dropped, unless the error is the caller's.
    pub(super) fn change(
        &mut self,
        change: impl FnOnce(&mut Change<'_>) -> Outcome<()>,
    ) -> Result<(), Failed> {
        let mut tables = self.ready()?;
        let before = self.counts.bytes;
        match tables.commit(&self.counts, change) {
            Ok(counts) => {
                self.counts = counts;
                self.tables = Some(tables);
                self.churn = self.churn.saturating_add(before.abs_diff(counts.bytes));
                self.header.acknowledged = counts.sequence;
                // If this write fails, a damaged last commit would look like an interrupted one. Nothing else depends
                // on it.
                let _ = self.header.write_progress(&self.file);
                Ok(())
            }
            Err(failed) => {
                self.counts.sequence += 1;
                let refused = matches!(
                    failed.problem,
                    StoreProblem::TooLarge | StoreProblem::NumberTooLarge
                );
                if refused {
                    self.tables = Some(tables);
                }
                Err(failed)
            }
        }
    }

    pub(super) fn compact_now(&mut self) -> Outcome<()> {
        let mut tables = self.ready()?;
        tables.compact()?;
        self.tables = Some(tables);
        self.churn = 0;
        Ok(())
    }

    /// Compacts the file if it is large, nearly empty, and has changed enough since the last time.
    pub(super) fn compact_if_worth(&mut self) -> Outcome<()> {
        let size = self.file.size()?;
        if size >= COMPACT && self.counts.bytes < size / 64 && self.churn >= size / 4 {
            self.compact_now()?;
        }
        Ok(())
    }
}
