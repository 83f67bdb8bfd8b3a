//! Commits of changes, and what follows a commit that failed.

use super::DiskStore;
use crate::outbox::store::disk::change::{Change, Failed};
use crate::outbox::store::disk::counts::Counts;
use crate::outbox::store::disk::error::{Outcome, StoreProblem};
use crate::outbox::store::disk::frame::LIMIT;
use crate::outbox::store::disk::log::{LOG, Log, Stamp};
use crate::outbox::store::disk::region::Region;
use crate::outbox::store::disk::tables::{Reserve, Tables};
use bytes::Bytes;

/// The store compacts a file on its own only if the file has at least this many bytes.
const COMPACT: u64 = 4 * 1024 * 1024;

/// After the disk had no room for what the log may hold, so many bytes have to be removed before it is tried again. Each attempt
/// that fails costs a check of the whole file.
pub(super) const RESUME: u64 = 8 * LOG as u64;

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
        let (file, layout) = (self.header.file, self.header.layout);
        let region = Region::new(&self.file, layout);
        let (mut tables, mut counts) = Tables::open(region, file)?;
        self.log = Log::read(&self.file, layout, file, &mut counts)?;
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
            self.in_doubt.sort_unstable();
            let (log, in_doubt) = (&self.log, &self.in_doubt);
            let removed = tables.commit(&self.counts, Reserve::Removal, |change| {
                change.take_in(log, in_doubt)?;
                change.remove(in_doubt)
            });
            self.counts.sequence += 1;
            self.counts = removed.map_err(|failed| failed.problem)?;
            self.log.clear();
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

    /// Commits a change, and moves the messages of the log into the tables, but for those that `change` removes.
    ///
    /// `removed` is sorted. After an error the tables are dropped, unless the error is the caller's.
    pub(super) fn change(
        &mut self,
        removed: &[u64],
        change: impl Fn(&mut Change<'_>) -> Outcome<()>,
    ) -> Result<(), Failed> {
        if self.header.layout.log == 0 || self.log_paused.is_some() {
            return self.commit(Reserve::Removal, removed, &change);
        }
        let committed = self.commit(Reserve::RemovalAndLog, removed, &change);
        if let Err(Failed {
            problem: StoreProblem::Full,
            in_doubt: false,
        }) = committed
        {
            // Perhaps it has room for the change, and none beside it.
            self.log_paused = Some(self.counts.bytes);
            return self.commit(Reserve::Removal, removed, &change);
        }
        committed
    }

    fn commit(
        &mut self,
        reserve: Reserve,
        removed: &[u64],
        change: impl Fn(&mut Change<'_>) -> Outcome<()>,
    ) -> Result<(), Failed> {
        let mut tables = self.ready()?;
        let before = self.counts.bytes;
        let log = &self.log;
        let committed = tables.commit(&self.counts, reserve, |tables| {
            tables.take_in(log, removed)?;
            change(tables)
        });
        match committed {
            Ok(counts) => {
                self.counts = counts;
                self.log.clear();
                self.tables = Some(tables);
                self.log_paused
                    .take_if(|paused| counts.bytes.saturating_add(RESUME) <= *paused);
                self.churn = self.churn.saturating_add(before.abs_diff(counts.bytes));
                self.acknowledge();
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

    /// Records that the last commit is complete.
    fn acknowledge(&mut self) {
        self.header.acknowledged = self.counts.sequence;
        // If this write fails, a damaged last commit would look like an interrupted one. Nothing else depends on it.
        let _ = self.header.write_progress(&self.file);
    }

    /// Whether a batch may go into the log: there is room for it, and its numbers are above all others.
    pub(super) fn is_for_log(&self, batch: &[(u64, Bytes)]) -> bool {
        let has_room = |tables: &Tables| tables.has_room_for_log();
        let first = batch.first().map_or(0, |(number, _)| *number);
        let last = batch.last().map_or(0, |(number, _)| *number);
        self.tables.as_ref().is_some_and(has_room)
            && self.log.has_room(batch)
            && first >= self.counts.next
            && last < LIMIT
            && batch.is_sorted_by(|(one, _), (next, _)| one < next)
    }

    /// Appends a batch to the log: see [`is_for_log`](Self::is_for_log).
    pub(super) fn append_to_log(&mut self, batch: &[(u64, Bytes)]) -> Result<(), Failed> {
        let tables = self.ready()?;
        let first = batch.first().map_or(0, |(number, _)| *number);
        let oldest = tables.oldest().or(self.log.first());
        let stamp = Stamp {
            base: tables.sequence(),
            sequence: self.counts.sequence + 1,
            floor: oldest.map_or(first, |oldest| oldest.min(first)),
        };
        let mut counts = self.counts;
        if let Err(error) = self.log.append(&self.file, batch, stamp, &mut counts) {
            self.counts.sequence += 1;
            return Err(Failed {
                problem: error.into(),
                in_doubt: true,
            });
        }
        self.tables = Some(tables);
        self.churn = self.churn.saturating_add(counts.bytes - self.counts.bytes);
        self.counts = counts;
        self.acknowledge();
        Ok(())
    }

    pub(super) fn compact_now(&mut self) -> Outcome<()> {
        if !self.log.is_empty() {
            self.change(&[], |_| Ok(()))
                .map_err(|failed| failed.problem)?;
        }
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
