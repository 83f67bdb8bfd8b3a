//! Messages whose text follows from their numbers.

use anyhow::{Context, ensure};
use hangup::outbox::Importance;
use std::time::Duration;

/// The longest text.
pub(crate) const LONGEST: u64 = 1000;

/// How long a best-effort message is useful.
const TTL: Duration = Duration::from_millis(20);

/// One message of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// Its number among all.
    pub(crate) id: u64,
    pub(crate) is_important: bool,
    /// Its number among those that are important, or among the others.
    pub(crate) index: u64,
}

impl Note {
    /// The id, the kind, the index, and a filling.
    pub(crate) fn text(self) -> String {
        let kind = if self.is_important { 'i' } else { 'b' };
        let head = format!("{} {kind} {} ", self.id, self.index);
        let length = self.id.wrapping_mul(7919) % (LONGEST - head.len() as u64);
        head + &"x".repeat(length as usize)
    }

    /// The message that has arrived with this text.
    pub(crate) fn arrived(text: &str) -> anyhow::Result<Self> {
        let note = Self::parse(text).with_context(|| format!("no message: {text:?}"))?;
        ensure!(note.text() == text, "{note:?} has arrived as {text:?}");
        Ok(note)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            id: words.next()?.parse().ok()?,
            is_important: words.next()? == "i",
            index: words.next()?.parse().ok()?,
        })
    }

    pub(crate) fn importance(self) -> Importance {
        match self.is_important {
            true => Importance::Important,
            false => Importance::BestEffort { ttl: TTL },
        }
    }
}

/// The id that the text begins with, as the outbox asks for it.
pub(crate) fn id(text: &str) -> u64 {
    let id = text.split(' ').next();
    id.and_then(|id| id.parse().ok()).unwrap_or(u64::MAX)
}
