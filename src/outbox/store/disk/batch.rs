//! Messages that are copied into a new store.

use super::change::Change;
use super::counts::Counts;
use super::error::Outcome;
use super::opened::Opened;
use super::tables::Reserve;
use bytes::Bytes;

/// How many bytes are copied in one commit.
const BATCH: usize = 4 * 1024 * 1024;

/// Messages that are committed to a new store together.
pub(super) struct Batch<'a> {
    store: &'a mut Opened,
    messages: Vec<(u64, Bytes)>,
    dead_letters: Vec<(u64, Vec<u8>)>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    pub(super) fn new(store: &'a mut Opened) -> Self {
        Self {
            store,
            messages: Vec::new(),
            dead_letters: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, number: u64, message: Bytes) -> Outcome<()> {
        self.bytes += message.len();
        self.messages.push((number, message));
        self.commit_if_large()
    }

    pub(super) fn push_dead_letter(&mut self, number: u64, letter: Vec<u8>) -> Outcome<()> {
        self.bytes += letter.len();
        self.dead_letters.push((number, letter));
        self.commit_if_large()
    }

    fn commit_if_large(&mut self) -> Outcome<()> {
        if self.bytes < BATCH {
            return Ok(());
        }
        self.commit()
    }

    pub(super) fn commit(&mut self) -> Outcome<()> {
        self.store.counts = commit(self.store, |change| {
            change.add(&self.messages)?;
            for (number, letter) in &self.dead_letters {
                change.add_dead_letter(*number, letter)?;
            }
            Ok(())
        })?;
        self.messages.clear();
        self.dead_letters.clear();
        self.bytes = 0;
        Ok(())
    }
}

pub(super) fn commit(
    opened: &mut Opened,
    change: impl FnOnce(&mut Change<'_>) -> Outcome<()>,
) -> Outcome<Counts> {
    let committed = opened
        .tables
        .commit(&opened.counts, Reserve::Removal, change);
    committed.map_err(|failed| failed.problem)
}
