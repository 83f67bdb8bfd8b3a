//! What has arrived at the peer of one outbox, and what must hold of it.

use super::message::Note;
use anyhow::ensure;
use std::sync::{Mutex, PoisonError};

/// What has arrived.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Arrived>);

#[derive(Debug, Default, Clone, Copy)]
struct Arrived {
    /// All important messages below this index.
    important: u64,
    /// One more than the index of the last best-effort message.
    best_effort: u64,
}

impl Journal {
    fn now(&self) -> Arrived {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message has arrived. An important one may come again, and none may be left out before it.
    pub(crate) fn arrived(&self, note: Note) -> anyhow::Result<()> {
        let mut arrived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if note.is_important {
            let next = arrived.important;
            ensure!(
                note.index <= next,
                "{note:?} has arrived before important message {next}"
            );
            arrived.important = next.max(note.index + 1);
        } else {
            let next = arrived.best_effort;
            ensure!(
                note.index >= next,
                "{note:?} has arrived again, or after a later one"
            );
            arrived.best_effort = note.index + 1;
        }
        Ok(())
    }

    /// A receipt says that this message was delivered.
    pub(crate) fn check_delivered(&self, note: Note) -> anyhow::Result<()> {
        let arrived = self.now();
        let next = if note.is_important {
            arrived.important
        } else {
            arrived.best_effort
        };
        ensure!(
            note.index < next,
            "{note:?} is reported as delivered, and has not arrived"
        );
        Ok(())
    }

    /// All important messages must have arrived.
    pub(crate) fn check_complete(&self, important: u64) -> anyhow::Result<()> {
        let arrived = self.now().important;
        ensure!(
            arrived == important,
            "{arrived} of {important} important messages have arrived"
        );
        Ok(())
    }
}
