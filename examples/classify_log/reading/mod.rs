//! One line of a log: which error it reports. Any text will do.
//!
//! It may use the library's tables, and has a table of patterns of its own. The program, its tests and the
//! fuzzer use it.

mod colours;
mod finding;
mod literals;
mod names;
mod numbers;
mod patterns;
mod table;

pub(crate) use colours::without_colours;
pub(crate) use finding::Finding;

use hangup::errors::{ErrorClass, OsError, Platform};
use patterns::{Patterns, Says};
use table::{Meaning, Table};

/// The reader of lines, with its patterns compiled.
#[derive(Debug)]
pub(crate) struct Reader {
    patterns: Patterns,
    names_rank: usize,
    numbers_rank: usize,
}

impl Reader {
    pub(crate) fn new() -> Self {
        let table = Table::parse(&[
            include_str!("../translations.tsv"),
            include_str!("../patterns.tsv"),
        ]);
        Self {
            names_rank: table.names_rank,
            numbers_rank: table.numbers_rank,
            patterns: Patterns::new(table),
        }
    }

    /// The error that `line` reports, with numbers of `platform`. `None` if it reports none that is known.
    ///
    /// Patterns, names and numbers compete. The one that comes first in the table decides, and a name or a
    /// number of the same class only says more exactly which error it is.
    pub(crate) fn read(&self, line: &str, platform: Platform) -> Option<Finding> {
        let line = without_colours(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if let Some(error) = numbers::alone(line, platform) {
            return Some(error.into());
        }
        let (rank, meaning) = match self.patterns.read(line) {
            Says::Success => return None,
            Says::Nothing => (usize::MAX, None),
            Says::Row(rank, meaning) => (rank, Some(meaning)),
        };
        if rank > self.names_rank
            && let Some(error) = names::find(line, platform)
        {
            return Some(error.into());
        }
        if rank > self.numbers_rank {
            // A number that means nothing to a sender may be another platform's: the words know better.
            let means = |error: &OsError| meaning.is_none() || error.class() != ErrorClass::Other;
            if let Some(error) = numbers::find(line, platform).filter(means) {
                return Some(error.into());
            }
        }
        let class = match meaning? {
            Meaning::NoError => return None,
            Meaning::Error(error) => return Some(Finding::of(error, platform)),
            Meaning::Class(class) => class,
            Meaning::LookUp => match numbers::look_up(line, platform) {
                Some(error) => return Some(error.into()),
                None => ErrorClass::Resolution,
            },
        };
        let closer = names::find(line, platform).or_else(|| numbers::find(line, platform));
        Some(match closer.filter(|error| error.class() == class) {
            Some(error) => error.into(),
            None => class.into(),
        })
    }
}
