//! How many lines of a log report an error of each class.

use crate::reading::{Finding, without_colours};
use hangup::errors::ErrorClass;
use std::collections::HashMap;
use std::fmt;

/// As many characters of an example are printed.
const EXAMPLE: usize = 160;

/// The counts of a log.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    classes: HashMap<ErrorClass, Count>,
    without_error: u64,
}

#[derive(Debug)]
struct Count {
    lines: u64,
    /// The beginning of the first line of the class.
    example: String,
}

impl Summary {
    pub(crate) fn add(&mut self, finding: Option<Finding>, line: &[u8]) {
        let Some(finding) = finding else {
            self.without_error += 1;
            return;
        };
        let count = self.classes.entry(finding.class).or_insert_with(|| Count {
            lines: 0,
            example: beginning(line),
        });
        count.lines += 1;
    }
}

/// Without control characters, which could take over the terminal.
fn beginning(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let line = without_colours(&line);
    let mut chars = line.trim().chars().filter(|c| !c.is_control());
    let mut example: String = chars.by_ref().take(EXAMPLE).collect();
    if chars.next().is_some() {
        example.push('…');
    }
    example
}

/// A table, the most frequent class first.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_by_key(|(class, count)| (u64::MAX - count.lines, class.to_string()));
        writeln!(
            f,
            "{:<16} {:>9}  what to do, and an example",
            "class", "lines"
        )?;
        for (class, count) in classes {
            let (lines, advice) = (count.lines, class.advice());
            writeln!(f, "{class:<16} {lines:>9}  {advice}")?;
            writeln!(f, "{:<28}{}", "", count.example)?;
        }
        writeln!(f, "{:<16} {:>9}", "no known error", self.without_error)
    }
}
