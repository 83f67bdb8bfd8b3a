//! A change of the tables, which is committed as a whole.

use super::counts::{COUNTS, Counts};
use super::error::{Outcome, StoreProblem};
use super::frame::{self, HEAD, Head, Kind, LIMIT};
use super::log::Log;
use redb::{ReadableTable, Table};

/// The error of a commit.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) problem: StoreProblem,
    /// Whether the commit may have been made in spite of the error.
    pub(super) in_doubt: bool,
}

impl<E: Into<StoreProblem>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self {
            problem: error.into(),
            in_doubt: false,
        }
    }
}

/// The tables inside a transaction.
pub(super) struct Change<'a> {
    pub(super) messages: Table<'a, u64, &'static [u8]>,
    pub(super) dead_letters: Table<'a, u64, &'static [u8]>,
    pub(super) counts: &'a mut Counts,
    pub(super) file: u64,
    /// A rough count of the bytes that the change added.
    pub(super) added: &'a mut u64,
}

impl Change<'_> {
    /// Adds messages. A number that is already there is replaced.
    pub(super) fn add(&mut self, batch: &[(u64, impl AsRef<[u8]>)]) -> Outcome<()> {
        let oldest = oldest(&self.messages)?;
        let first = batch.first().map_or(0, |(number, _)| *number);
        let floor = oldest.map_or(first, |oldest| oldest.min(first));
        for (number, message) in batch {
            if *number < self.counts.next {
                self.remove(&[*number])?;
            }
            let head = self.head(*number, floor, Kind::Message);
            let length = put(&mut self.messages, head, message.as_ref())?;
            self.took(length);
            self.counts.messages += 1;
            self.counts.next = self.counts.next.max(number + 1);
        }
        Ok(())
    }

    /// Moves the messages of the log into the table, without those that are removed. They are counted already.
    ///
    /// `removed` is sorted.
    pub(super) fn take_in(&mut self, log: &Log, removed: &[u64]) -> Outcome<()> {
        // The database splits a full page in halves. In ascending order, each first half would stay half empty. So every third
        // message follows when the others are there: a third fewer pages have to be written.
        let pass = |is_third: bool| {
            let rows = log.frames().enumerate();
            rows.filter_map(move |(at, row)| ((at % 3 == 2) == is_third).then_some(row))
        };
        for (number, frame) in pass(false).chain(pass(true)) {
            if removed.binary_search(&number).is_ok() {
                self.counts.bytes -= frame.len() as u64;
                self.counts.messages -= 1;
                continue;
            }
            self.messages.insert(number, frame)?;
            *self.added += 2 * frame.len() as u64;
        }
        Ok(())
    }

    /// Removes messages. Unknown numbers are ignored.
    ///
    /// `numbers` is sorted. Numbers that follow each other are removed together, which visits each page once.
    pub(super) fn remove(&mut self, numbers: &[u64]) -> Outcome<()> {
        let numbers = &numbers[..numbers.partition_point(|&number| number < LIMIT)];
        for run in numbers.chunk_by(|one, next| next - one <= 1) {
            let (&[first, ..], &[.., last]) = (run, run) else {
                continue;
            };
            let counts = &mut *self.counts;
            self.messages.retain_in(first..=last, |_, frame| {
                counts.bytes -= frame.len() as u64;
                counts.messages -= 1;
                false
            })?;
        }
        Ok(())
    }

    /// Turns a message into a dead letter. An unknown number is ignored.
    pub(super) fn bury(&mut self, number: u64, reason: &str) -> Outcome<()> {
        if number >= LIMIT {
            return Ok(());
        }
        let Some(row) = self.messages.remove(number)? else {
            return Ok(());
        };
        let (_, message) = frame::read(self.file, number, row.value())?;
        self.counts.bytes -= row.value().len() as u64;
        self.counts.messages -= 1;
        drop(row);
        let mut letter = (reason.len() as u32).to_le_bytes().to_vec();
        letter.extend(reason.as_bytes());
        letter.extend(message);
        self.add_dead_letter(number, &letter)
    }

    /// Adds a dead letter in its stored form.
    pub(super) fn add_dead_letter(&mut self, number: u64, letter: &[u8]) -> Outcome<()> {
        let head = self.head(number, 0, Kind::DeadLetter);
        let length = put(&mut self.dead_letters, head, letter)?;
        self.took(length);
        self.counts.dead_letters += 1;
        self.counts.next = self.counts.next.max(number + 1);
        Ok(())
    }

    /// Removes dead letters. Unknown numbers are ignored.
    pub(super) fn remove_dead_letters(&mut self, numbers: &[u64]) -> Outcome<()> {
        for number in numbers {
            if let Some(old) = self.dead_letters.remove(number)? {
                self.counts.bytes -= old.value().len() as u64;
                self.counts.dead_letters -= 1;
            }
        }
        Ok(())
    }

    /// Counts a frame of this length.
    fn took(&mut self, length: u64) {
        self.counts.bytes += length;
        // A page is at least half full.
        *self.added += 2 * length;
    }

    fn head(&self, number: u64, floor: u64, kind: Kind) -> Head {
        Head {
            file: self.file,
            number,
            sequence: self.counts.sequence,
            floor,
            kind,
        }
    }
}

/// Writes a frame. Returns its length.
fn put(table: &mut Table<'_, u64, &'static [u8]>, head: Head, message: &[u8]) -> Outcome<u64> {
    if head.number >= LIMIT {
        return Err(StoreProblem::NumberTooLarge);
    }
    let length = u32::try_from(HEAD + message.len()).map_err(|_| StoreProblem::TooLarge)?;
    let mut place = table.insert_reserve(head.number, length as usize)?;
    head.write(message, place.as_mut());
    Ok(length.into())
}

/// The lowest number of a message.
pub(super) fn oldest(messages: &impl ReadableTable<u64, &'static [u8]>) -> Outcome<Option<u64>> {
    let first = messages.first()?.map(|(number, _)| number.value());
    Ok(first.filter(|&number| number != COUNTS))
}
