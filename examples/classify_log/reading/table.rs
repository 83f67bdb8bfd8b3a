//! The table of patterns: `translations.tsv`, then `patterns.tsv`, whose head explains the columns.

use hangup::errors::{ErrorClass, OsError, Platform};

/// What a row says of a line that it matches.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meaning {
    /// The line mentions an error and reports none.
    NoError,
    /// `getaddrinfo` failed. Its number may follow.
    LookUp,
    /// An error of this class.
    Class(ErrorClass),
    /// This error, on any platform that has it.
    Error(OsError),
}

/// What a row's pattern is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// The line means this.
    Means(Meaning),
    /// The line reports a success.
    Calm,
    /// The line reports a failure.
    Alarm,
    /// The line is of a level below a warning.
    Level,
}

impl Role {
    /// Whether the row says in which mood others are read, and has no meaning of its own.
    pub(super) fn is_mood(self) -> bool {
        matches!(self, Self::Alarm | Self::Level)
    }
}

/// How a row's pattern matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Text,
    Word,
    Error,
    Weak,
    Regex,
    Hint,
}

/// A row. Its place in the table is its rank: the lower one decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) rank: usize,
    pub(super) role: Role,
    pub(super) how: How,
    pub(super) pattern: &'static str,
}

/// The rows, and where names and numbers come among them.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    pub(super) names_rank: usize,
    pub(super) numbers_rank: usize,
}

impl Table {
    /// # Panics
    ///
    /// If a row is not of the table's form. The table is part of the program, and a test reads all of it.
    pub(super) fn parse(files: &[&'static str]) -> Self {
        let mut table = Self {
            rows: Vec::new(),
            names_rank: usize::MAX,
            numbers_rank: usize::MAX,
        };
        let lines = files.iter().flat_map(|file| file.lines()).enumerate();
        for (rank, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let fields: Vec<_> = line.split('\t').collect();
            let [meaning, how, pattern, _source] = fields[..] else {
                panic!("expected four columns: {line}")
            };
            let how = match how {
                "text" => How::Text,
                "word" => How::Word,
                "error" => How::Error,
                "weak" => How::Weak,
                "regex" => How::Regex,
                "hint" => How::Hint,
                "names" => {
                    table.names_rank = rank;
                    continue;
                }
                "numbers" => {
                    table.numbers_rank = rank;
                    continue;
                }
                _ => panic!("unknown way of matching: {line}"),
            };
            let Some(role) = role(meaning) else {
                panic!("unknown meaning: {line}")
            };
            table.rows.push(Row {
                rank,
                role,
                how,
                pattern,
            });
        }
        table
    }
}

fn role(meaning: &str) -> Option<Role> {
    Some(match meaning {
        "calm" => Role::Calm,
        "alarm" => Role::Alarm,
        "level" => Role::Level,
        "?" => Role::Means(Meaning::NoError),
        "look-up" => Role::Means(Meaning::LookUp),
        _ => match class(meaning) {
            Some(class) => Role::Means(Meaning::Class(class)),
            None => Role::Means(Meaning::Error(anywhere(meaning)?)),
        },
    })
}

/// The class that prints as `name`.
fn class(name: &str) -> Option<ErrorClass> {
    const ALL: [ErrorClass; 11] = [
        ErrorClass::NotReady,
        ErrorClass::Interrupted,
        ErrorClass::Disconnected,
        ErrorClass::Network,
        ErrorClass::Resolution,
        ErrorClass::Timeout,
        ErrorClass::Tls,
        ErrorClass::LocalResources,
        ErrorClass::Misuse,
        ErrorClass::Permission,
        ErrorClass::Other,
    ];
    ALL.into_iter().find(|class| class.to_string() == name)
}

/// The error called `name` on the first platform that has it.
pub(super) fn anywhere(name: &str) -> Option<OsError> {
    let mut platforms = Platform::ALL.iter();
    platforms.find_map(|platform| OsError::from_name(name, *platform))
}
