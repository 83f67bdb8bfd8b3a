//! All patterns of the table, searched for at once.

use super::literals;
use super::table::{How, Meaning, Role, Row, Table};
use aho_corasick::{AhoCorasick, Match};
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use std::sync::OnceLock;

/// The rows. One search finds the texts of all, and tells which of the regular expressions are worth a try.
#[derive(Debug)]
pub(super) struct Patterns {
    texts: Vec<Row>,
    shapes: Vec<Shape>,
    /// The texts of `texts`, then those of the choices of `shapes`.
    automaton: AhoCorasick,
    /// Of each of the latter: its shape, and the bit of its choice.
    heralds: Vec<(usize, u32)>,
}

/// A row with a regular expression. It is compiled when a line needs it first.
#[derive(Debug)]
struct Shape {
    row: Row,
    regex: OnceLock<Regex>,
    /// A bit for each choice of texts that a line must have.
    choices: u32,
}

/// What all rows together say of a line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Says {
    Nothing,
    /// The line reports a success, whatever it mentions.
    Success,
    /// The rank of the row that decides, and what it means.
    Row(usize, Meaning),
}

impl Patterns {
    pub(super) fn new(table: Table) -> Self {
        let is_shape = |row: &Row| matches!(row.how, How::Regex | How::Hint);
        let (shapes, texts): (Vec<_>, Vec<_>) = table.rows.into_iter().partition(is_shape);
        let mut patterns: Vec<_> = texts
            .iter()
            .map(|row| row.pattern.as_bytes().to_vec())
            .collect();
        let mut heralds = Vec::new();
        let shapes = shapes.into_iter().enumerate().map(|(shape, row)| {
            let mut choices = 0;
            for (choice, texts) in literals::of(row.pattern).into_iter().take(32).enumerate() {
                choices |= 1 << choice;
                heralds.resize(heralds.len() + texts.len(), (shape, 1 << choice));
                patterns.extend(texts);
            }
            Shape {
                row,
                regex: OnceLock::new(),
                choices,
            }
        });
        let shapes = shapes.collect();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&patterns)
            .expect("the texts of patterns.tsv fit in one automaton");
        Self {
            texts,
            shapes,
            automaton,
            heralds,
        }
    }

    pub(super) fn read(&self, line: &str) -> Says {
        let mut seen = Seen::default();
        let mut choices = vec![0; self.shapes.len()];
        for found in self.automaton.find_overlapping_iter(line) {
            let pattern = found.pattern().as_usize();
            match self.texts.get(pattern) {
                Some(row) if counts(row, line, &found) => seen.take(row),
                Some(_) => {}
                None => {
                    let (shape, choice) = self.heralds[pattern - self.texts.len()];
                    choices[shape] |= choice;
                }
            }
        }
        let shapes = self.shapes.iter().zip(choices);
        let worth_a_try = shapes.filter(|(shape, choices)| shape.choices == *choices);
        let candidates: Vec<_> = worth_a_try.map(|(shape, _)| shape).collect();
        // Moods come last: seldom is there a row that depends on one.
        for of_mood in [false, true] {
            for shape in &candidates {
                if shape.row.role.is_mood() == of_mood
                    && seen.lacks(&shape.row)
                    && shape.is_in(line)
                {
                    seen.take(&shape.row);
                }
            }
        }
        seen.sum_up()
    }
}

impl Shape {
    /// # Panics
    ///
    /// If the expression is none. The table is part of the program, and a test compiles all of it.
    fn is_in(&self, line: &str) -> bool {
        let regex = self.regex.get_or_init(|| {
            Regex::builder()
                .configure(Regex::config().utf8_empty(false))
                // With the letters of all scripts the automaton gives up on a line that has one beyond ASCII.
                .syntax(syntax::Config::new().unicode(false).utf8(false))
                .build(self.row.pattern)
                .expect("the tables have regular expressions")
        });
        regex.is_match(line)
    }
}

/// The rows that match a line, so far as they matter.
#[derive(Debug, Default)]
struct Seen {
    first: Option<(usize, Meaning)>,
    /// The first row that counts only beside an alarm.
    weak: Option<(usize, Meaning)>,
    calm: bool,
    alarm: bool,
    level: bool,
}

impl Seen {
    fn take(&mut self, row: &Row) {
        let meaning = match row.role {
            Role::Means(meaning) => meaning,
            Role::Calm => return self.calm = true,
            Role::Alarm => return self.alarm = true,
            Role::Level => return self.level = true,
        };
        let place = match row.how {
            How::Weak | How::Hint => &mut self.weak,
            How::Text | How::Word | How::Error | How::Regex => &mut self.first,
        };
        if place.is_none_or(|(rank, _)| row.rank < rank) {
            *place = Some((row.rank, meaning));
        }
    }

    /// Whether `row` would make a difference.
    fn lacks(&self, row: &Row) -> bool {
        let is_first =
            |found: Option<(usize, Meaning)>| found.is_none_or(|(rank, _)| row.rank < rank);
        match row.role {
            Role::Means(_) => {
                is_first(self.first) && (row.how == How::Regex || is_first(self.weak))
            }
            Role::Calm => !self.calm,
            Role::Alarm => !self.alarm && (self.calm || self.weak.is_some()),
            Role::Level => !self.level && self.calm,
        }
    }

    fn sum_up(self) -> Says {
        if self.calm && (self.level || !self.alarm) {
            return Says::Success;
        }
        let weak = self.weak.filter(|_| self.alarm);
        let rows = [self.first, weak].into_iter().flatten();
        match rows.min_by_key(|(rank, _)| *rank) {
            Some((rank, meaning)) => Says::Row(rank, meaning),
            None => Says::Nothing,
        }
    }
}

/// Whether what was found stands where a row of its kind counts.
fn counts(row: &Row, line: &str, found: &Match) -> bool {
    let (before, after) = (&line[..found.start()], &line[found.end()..]);
    match row.how {
        How::Text | How::Weak | How::Regex | How::Hint => true,
        How::Word => {
            let joins = |c: char| c.is_alphanumeric() || c == '_';
            line[found.range()] == *row.pattern
                && !before.ends_with(joins)
                && !after.starts_with(joins)
        }
        How::Error => {
            const OPENS: [char; 9] = [':', '(', '[', ']', '"', '\'', '=', '>', '-'];
            const CLOSES: [char; 11] = [':', ')', '(', ']', '"', '\'', ',', ';', '.', '[', '|'];
            /// Words with which a line goes on to say what failed.
            const JOINS: [&str; 4] = [" while ", " with ", " during ", " when "];
            let joined = JOINS.iter().any(|word| after.starts_with(word));
            let (before, after) = (before.trim_end(), after.trim_start());
            (before.is_empty() || before.ends_with(OPENS))
                && (after.is_empty() || after.starts_with(CLOSES) || joined)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[&str] = &[
        include_str!("../../../tests/data/log_lines.tsv"),
        include_str!("../../../tests/data/log_lines_field.tsv"),
        include_str!("../../../tests/data/log_lines_field_7.tsv"),
        include_str!("../../../tests/data/log_lines_field_11.tsv"),
        include_str!("../../../tests/data/log_lines_field_12.tsv"),
        include_str!("../../../tests/data/log_lines_ordinary.txt"),
    ];

    /// It compiles all of them, too.
    #[test]
    fn no_expression_matches_a_line_without_its_texts() {
        let tables = [
            include_str!("../translations.tsv"),
            include_str!("../patterns.tsv"),
        ];
        let patterns = Patterns::new(Table::parse(&tables));
        assert!(patterns.shapes.len() > 200);
        let mut matches = 0;
        for shape in &patterns.shapes {
            let choices = literals::of(shape.row.pattern);
            for line in LINES.iter().flat_map(|lines| lines.lines()) {
                let line = line.split_once('\t').map_or(line, |(_, line)| line);
                if !shape.is_in(line) {
                    continue;
                }
                matches += 1;
                let line = line.to_ascii_lowercase();
                let has =
                    |text: &Vec<u8>| line.as_bytes().windows(text.len()).any(|part| part == text);
                let lacks = choices.iter().find(|texts| !texts.iter().any(has));
                assert_eq!(lacks, None, "{}: {line}", shape.row.pattern);
            }
        }
        assert!(matches > 1000);
    }
}
