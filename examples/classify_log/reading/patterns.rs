//! All patterns of the table, searched for at once.

use super::table::{How, Meaning, Role, Row, Table};
use aho_corasick::{AhoCorasick, Match};
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet};

/// The room for the states of one automaton of regular expressions, which are made as lines need them.
const CACHE: usize = 32 << 20;

/// Expressions of one automaton. With all of them in one, their gaps (`.*`) multiply the states until a line makes
/// more than it uses again: 70 times slower. Each further automaton reads the line once more.
const TOGETHER: usize = 16;

/// The rows: those with a text in one automaton, those with a regular expression in several others.
#[derive(Debug)]
pub(super) struct Patterns {
    texts: Vec<Row>,
    automaton: AhoCorasick,
    shapes: Vec<(Regex, Vec<Row>)>,
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
    /// # Panics
    ///
    /// If a pattern cannot be compiled. The table is part of the program, and a test compiles all of it.
    pub(super) fn new(table: Table) -> Self {
        let is_shape = |row: &Row| matches!(row.how, How::Regex | How::Hint);
        let (shapes, texts): (Vec<_>, Vec<_>) = table.rows.into_iter().partition(is_shape);
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(texts.iter().map(|row| row.pattern))
            .expect("the texts of patterns.tsv fit in one automaton");
        let shapes = shapes.chunks(TOGETHER);
        Self {
            texts,
            automaton,
            shapes: shapes.map(|rows| (regex(rows), rows.to_vec())).collect(),
        }
    }

    pub(super) fn read(&self, line: &str) -> Says {
        let mut seen = Seen::default();
        for found in self.automaton.find_overlapping_iter(line) {
            let row = &self.texts[found.pattern().as_usize()];
            if counts(row, line, &found) {
                seen.take(row);
            }
        }
        let input = Input::new(line);
        for (regex, rows) in &self.shapes {
            let mut found = PatternSet::new(rows.len());
            regex.which_overlapping_matches(&input, &mut found);
            for shape in found.iter() {
                seen.take(&rows[shape.as_usize()]);
            }
        }
        seen.sum_up()
    }
}

/// One automaton of the expressions of `rows`.
fn regex(rows: &[Row]) -> Regex {
    let expressions: Vec<_> = rows.iter().map(|row| row.pattern).collect();
    // Every expression that matches counts, not only the first.
    let config = Regex::config()
        .match_kind(MatchKind::All)
        .utf8_empty(false)
        .hybrid_cache_capacity(CACHE);
    Regex::builder()
        .configure(config)
        // With the letters of all scripts the automaton gives up on a line that has one beyond ASCII.
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .build_many(&expressions)
        .expect("the tables have regular expressions")
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
