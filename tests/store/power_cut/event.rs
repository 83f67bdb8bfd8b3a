//! What happens to a store, and what it may be expected to have afterwards.

use super::message::Sizes;
use hangup::outbox::Store;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub(super) enum Event {
    Append(Vec<u64>),
    Appended(Vec<u64>),
    /// Handed back: it must not be found.
    Refused(Vec<u64>),
    /// Handed back with "outcome unknown".
    Unknown,
    Remove(Vec<u64>),
    Removed(Vec<u64>),
    Bury(u64),
    Buried(u64),
    /// The removal of a dead letter.
    Forget(u64),
    Forgotten(u64),
    /// Neither done nor surely undone.
    Failed,
    /// The program has started again, and has found this.
    Found(Found),
}

/// What is in a store.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) messages: BTreeSet<u64>,
    pub(super) dead_letters: BTreeSet<u64>,
}

impl Found {
    pub(super) fn of(store: &mut impl Store, sizes: Sizes) -> Result<Self, String> {
        let unreadable = |error| format!("unreadable: {error}");
        let messages = store.recover().map_err(unreadable)?;
        if !messages.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err("out of order or twice".to_owned());
        }
        let totals = store.totals().map_err(unreadable)?;
        if totals.0 != messages.len() as u64 {
            return Err(format!("counts {totals:?}, has {}", messages.len()));
        }
        let letters = store.dead_letters().map_err(unreadable)?;
        Ok(Self {
            messages: messages
                .iter()
                .map(|(number, message)| sizes.key(*number, message))
                .collect::<Result<_, _>>()?,
            dead_letters: letters
                .iter()
                .map(|letter| sizes.key(letter.number(), letter.message()))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn check(&self, expected: &Expected) -> Result<(), String> {
        let Expected { must, may, .. } = expected;
        if let Some(key) = must.messages.difference(&self.messages).next() {
            return Err(format!("lost: {key}"));
        }
        if let Some(key) = self.messages.difference(&may.messages).next() {
            return Err(format!("found though removed or handed back: {key}"));
        }
        if let Some(key) = must.dead_letters.difference(&self.dead_letters).next() {
            return Err(format!("lost dead letter: {key}"));
        }
        if let Some(key) = self.dead_letters.difference(&may.dead_letters).next() {
            return Err(format!("found though no dead letter: {key}"));
        }
        let both = |key: &&u64| self.messages.contains(key) == self.dead_letters.contains(key);
        if let Some(key) = expected.either.iter().find(both) {
            return Err(format!(
                "both a message and a dead letter, or neither: {key}"
            ));
        }
        Ok(())
    }
}

/// What must be found after some events, and what may be.
#[derive(Debug, Default)]
pub(super) struct Expected {
    must: Found,
    may: Found,
    /// Either a message or a dead letter.
    either: BTreeSet<u64>,
}

impl Expected {
    pub(super) fn after(events: &[Event]) -> Self {
        let mut expected = Self::default();
        for event in events {
            expected.add(event);
        }
        expected
    }

    fn add(&mut self, event: &Event) {
        let Self { must, may, either } = self;
        match event {
            Event::Append(keys) => may.messages.extend(keys),
            Event::Appended(keys) => must.messages.extend(keys),
            Event::Unknown | Event::Failed => {}
            Event::Remove(keys) => must.messages.retain(|key| !keys.contains(key)),
            Event::Refused(keys) | Event::Removed(keys) => {
                may.messages.retain(|key| !keys.contains(key));
            }
            Event::Bury(key) => {
                must.messages.remove(key);
                may.dead_letters.insert(*key);
                either.insert(*key);
            }
            Event::Buried(key) => {
                either.remove(key);
                may.messages.remove(key);
                must.dead_letters.insert(*key);
            }
            Event::Forget(key) => {
                must.dead_letters.remove(key);
            }
            Event::Forgotten(key) => {
                may.dead_letters.remove(key);
            }
            Event::Found(found) => {
                *must = found.clone();
                *may = found.clone();
                either.clear();
            }
        }
    }
}
