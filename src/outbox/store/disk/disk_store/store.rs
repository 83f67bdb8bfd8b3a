//! The calls of the trait [`Store`].

use super::DiskStore;
use crate::outbox::store::contract::Store;
use crate::outbox::store::dead_letter::DeadLetter;
use crate::outbox::store::disk::change::Failed;
use crate::outbox::store::disk::counts::Counts;
use crate::outbox::store::disk::error::{Outcome, StoreProblem};
use crate::outbox::store::disk::frame::HEAD;
use bytes::Bytes;
use std::io;
use std::ops::ControlFlow;

/// This many messages can be removed within the space that the tables keep free, wherever they lie: each needs a page
/// or two.
const FEW: usize = 8;

impl DiskStore {
    /// Appends a batch: see [`Store::append`].
    fn try_append(&mut self, batch: &[(u64, Bytes)]) -> Outcome<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.writable()?;
        self.check_reachable()?;
        let more = batch
            .iter()
            .map(|(_, message)| (HEAD + message.len()) as u64)
            .sum();
        if self.counts.bytes.saturating_add(more) > self.options.disk_capacity {
            return Err(self.no_room(batch.len(), more));
        }
        let mut added = match self.is_for_log(batch) {
            true => self.append_to_log(batch),
            false => self.change(&[], |change| change.add(batch)),
        };
        if let Err(Failed {
            problem: StoreProblem::Full,
            in_doubt: false,
        }) = added
        {
            // The database gives the pages of a removal out again after the commit that follows it.
            let _ = self.change(&[], |_| Ok(()));
            added = self.change(&[], |change| change.add(batch));
        }
        match added {
            Ok(()) => Ok(()),
            Err(failed) if failed.in_doubt => {
                // The sender gets these messages back, so they must not be delivered: remove them if they are there.
                self.in_doubt.extend(batch.iter().map(|(number, _)| number));
                match self.ready() {
                    Ok(tables) => {
                        self.tables = Some(tables);
                        Err(failed.problem)
                    }
                    Err(_) => Err(StoreProblem::OutcomeUnknown {
                        cause: Box::new(failed.problem),
                    }),
                }
            }
            Err(failed) => Err(failed.problem),
        }
    }

    /// Fails if the next start would not find the file.
    fn check_reachable(&self) -> Outcome<()> {
        match self.file.check_reachable() {
            Ok(()) => Ok(()),
            // The program may no longer search the folder. This does not mean that the file has gone.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StoreProblem::Removed,
                _ => error.into(),
            }),
        }
    }

    /// Why `count` messages of `more` bytes do not fit: other messages are in the way, or nothing but the limit is.
    ///
    /// The outbox drops messages to make room for one that is refused with `CapacityReached`.
    fn no_room(&mut self, count: usize, more: u64) -> StoreProblem {
        let dead_letters = match (count, self.counts.dead_letters) {
            (1, 0) => 0,
            (1, _) => match self.read_dead_letter_bytes() {
                Ok(bytes) => bytes,
                Err(problem) => return problem,
            },
            // A part of the batch may fit.
            _ => return StoreProblem::CapacityReached,
        };
        match dead_letters.saturating_add(more) > self.options.disk_capacity {
            true => StoreProblem::LargerThanCapacity,
            false => StoreProblem::CapacityReached,
        }
    }

    fn read_dead_letter_bytes(&mut self) -> Outcome<u64> {
        if let Some(bytes) = self.dead_letter_bytes {
            return Ok(bytes);
        }
        let tables = self.ready()?;
        let bytes = tables.dead_letter_bytes()?;
        self.tables = Some(tables);
        self.dead_letter_bytes = Some(bytes);
        Ok(bytes)
    }

    /// Removes messages: see [`Store::remove`].
    fn try_remove(&mut self, numbers: &[u64]) -> Outcome<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        self.writable()?;
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        match self.change(&sorted, |change| change.remove(&sorted)) {
            Err(Failed {
                problem: StoreProblem::Full,
                ..
            }) => {
                // A removal needs free pages too. A few messages at a time find enough.
                for few in sorted.chunks(FEW) {
                    self.change(&[], |change| change.remove(few))
                        .map_err(|failed| failed.problem)?;
                }
            }
            removed => removed.map_err(|failed| failed.problem)?,
        }
        // If the compaction fails, the file stays large, and nothing is lost.
        let _ = self.compact_if_worth();
        Ok(())
    }

    /// Reads messages from number `from` on, up to `max_bytes`, but at least one.
    fn read_page(&mut self, from: u64, max_bytes: usize) -> Outcome<Vec<(u64, Bytes)>> {
        let tables = self.ready()?;
        let mut page = Vec::new();
        let mut bytes = 0_usize;
        let mut add = |number, message: Bytes| {
            bytes = bytes.saturating_add(message.len());
            if bytes > max_bytes && !page.is_empty() {
                return ControlFlow::Break(());
            }
            page.push((number, message));
            ControlFlow::Continue(())
        };
        if tables.messages_from(from, &mut add)?.is_continue() {
            // The numbers of the log are above those of the tables.
            self.log.messages_from(from, add)?;
        }
        self.tables = Some(tables);
        Ok(page)
    }

    fn read_dead_letters(&mut self) -> Outcome<Vec<DeadLetter>> {
        let tables = self.ready()?;
        let mut letters = Vec::new();
        tables.dead_letters_from(0, |number, letter| {
            letters.extend(DeadLetter::read(number, letter));
            ControlFlow::Continue(())
        })?;
        self.tables = Some(tables);
        Ok(letters)
    }
}

impl Store for DiskStore {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        self.recover_page(0, usize::MAX)
    }

    fn recover_page(&mut self, from: u64, max_bytes: usize) -> io::Result<Vec<(u64, Bytes)>> {
        self.read_page(from, max_bytes)
            .map_err(|problem| self.error(problem))
    }

    fn totals(&mut self) -> io::Result<(u64, u64)> {
        let Counts {
            messages,
            dead_letters,
            bytes,
            ..
        } = self.counts;
        let heads = (messages + dead_letters).saturating_mul(HEAD as u64);
        Ok((messages, bytes.saturating_sub(heads)))
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Ok(self.counts.next)
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        self.try_append(batch)
            .map_err(|problem| self.error(problem))
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        self.try_remove(numbers)
            .map_err(|problem| self.error(problem))
    }

    fn bury(&mut self, number: u64, reason: &str) -> io::Result<()> {
        self.dead_letter_bytes = None;
        let buried = self
            .writable()
            .map_err(Failed::from)
            .and_then(|()| self.change(&[], |change| change.bury(number, reason)));
        buried.map_err(|failed| self.error(failed.problem))
    }

    fn dead_letters(&mut self) -> io::Result<Vec<DeadLetter>> {
        self.read_dead_letters()
            .map_err(|problem| self.error(problem))
    }

    fn remove_dead_letters(&mut self, numbers: &[u64]) -> io::Result<()> {
        self.dead_letter_bytes = None;
        let removed = self
            .writable()
            .map_err(Failed::from)
            .and_then(|()| self.change(&[], |change| change.remove_dead_letters(numbers)));
        removed.map_err(|failed| self.error(failed.problem))
    }
}
