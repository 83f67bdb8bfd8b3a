//! Texts of which a line must have one, if a regular expression is to match it.
//!
//! One search for all texts is much faster than the expressions, of which few are then left to try.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// How many texts may stand for one expression.
const MOST: usize = 256;

/// How many letters of a class are spelled out.
const FEW: usize = 8;

/// A shorter text is in nearly every line.
const SHORTEST: usize = 2;

/// Texts in small letters of which a line must have one.
pub(super) type Choice = Vec<Vec<u8>>;

/// The choices of `expression`: a line that matches it has a text of each. None are known of some.
pub(super) fn of(expression: &str) -> Vec<Choice> {
    // As the automata read them.
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
    let Ok(hir) = parser.parse(expression) else {
        return Vec::new();
    };
    let mut choices = Texts::of(&hir).choices();
    choices.retain(|choice| shortest(choice) >= SHORTEST);
    choices
}

/// What is known of the texts that a part of an expression matches.
#[derive(Debug, Clone, Default)]
struct Texts {
    /// All of them.
    all: Option<Choice>,
    /// Each has a text of each of these in it.
    within: Vec<Choice>,
}

impl Texts {
    fn all(texts: Choice) -> Self {
        Self {
            all: Some(texts),
            within: Vec::new(),
        }
    }

    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::all(vec![Vec::new()]),
            HirKind::Literal(literal) => Self::all(vec![literal.0.to_ascii_lowercase()]),
            HirKind::Class(class) => Self {
                all: letters(class),
                within: Vec::new(),
            },
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Repetition(repetition) => {
                let once = Self::of(&repetition.sub);
                match (repetition.min, repetition.max) {
                    (0, Some(1)) => Self {
                        all: once.all.map(|all| [all, vec![Vec::new()]].concat()),
                        within: Vec::new(),
                    },
                    (0, _) => Self::default(),
                    (1, Some(1)) => once,
                    _ => Self {
                        all: None,
                        within: once.choices(),
                    },
                }
            }
            HirKind::Concat(parts) => Self::of_row(parts),
            HirKind::Alternation(parts) => Self::of_alternatives(parts),
        }
    }

    /// Parts that stand one behind the other.
    fn of_row(parts: &[Hir]) -> Self {
        let mut row = vec![Vec::new()];
        let mut within = Vec::new();
        let mut is_whole = true;
        for part in parts {
            let next = Self::of(part);
            within.extend(next.within);
            match next.all.as_ref().and_then(|all| product(&row, all)) {
                Some(longer) => row = longer,
                None => {
                    is_whole = false;
                    within.push(row);
                    row = next.all.unwrap_or_else(|| vec![Vec::new()]);
                }
            }
        }
        if is_whole {
            return Self {
                all: Some(row),
                within,
            };
        }
        within.push(row);
        Self { all: None, within }
    }

    fn of_alternatives(parts: &[Hir]) -> Self {
        let parts: Vec<_> = parts.iter().map(Self::of).collect();
        let all = union(parts.iter().map(|part| part.all.clone()));
        if all.is_some() {
            return Self {
                all,
                within: Vec::new(),
            };
        }
        // The rarest of each: the longest.
        let best = |part: Self| part.choices().into_iter().max_by_key(shortest);
        let within = union(parts.into_iter().map(best));
        Self {
            all: None,
            within: within.into_iter().collect(),
        }
    }

    fn choices(self) -> Vec<Choice> {
        self.all.into_iter().chain(self.within).collect()
    }
}

/// The letters of a class of few, in small letters.
fn letters(class: &Class) -> Option<Choice> {
    let Class::Bytes(class) = class else {
        return None;
    };
    let letters = class.iter().flat_map(|range| range.start()..=range.end());
    let mut letters: Vec<_> = letters
        .map(|letter| vec![letter.to_ascii_lowercase()])
        .collect();
    letters.sort_unstable();
    letters.dedup();
    (letters.len() <= FEW).then_some(letters)
}

/// Each head with each tail.
fn product(heads: &Choice, tails: &Choice) -> Option<Choice> {
    if heads.len() * tails.len() > MOST {
        return None;
    }
    let mut texts = Vec::with_capacity(heads.len() * tails.len());
    for head in heads {
        texts.extend(tails.iter().map(|tail| [&head[..], tail].concat()));
    }
    Some(texts)
}

fn union(choices: impl Iterator<Item = Option<Choice>>) -> Option<Choice> {
    let texts = choices.collect::<Option<Vec<_>>>()?.concat();
    (texts.len() <= MOST).then_some(texts)
}

fn shortest(choice: &Choice) -> usize {
    choice.iter().map(Vec::len).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_choices(expression: &str, expected: &[&[&str]]) {
        let choices = of(expression);
        let texts = |choice: &Choice| {
            choice
                .iter()
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .collect()
        };
        let choices: Vec<Vec<String>> = choices.iter().map(texts).collect();
        assert_eq!(choices, expected, "{expression}");
    }

    #[test]
    fn texts_that_every_match_has() {
        assert_choices("Foo", &[&["foo"]]);
        assert_choices("(?i)FOO", &[&["foo"]]);
        assert_choices(r"\bfoo(?:bar)?$", &[&["foobar", "foo"]]);
        assert_choices("foo.*bar", &[&["foo"], &["bar"]]);
        assert_choices("(?:foo|ba[rz])+ *qux", &[&["foo", "bar", "baz"], &["qux"]]);
        assert_choices("foo[0-9]{3}bar", &[&["foo"], &["bar"]]);
        // The second may be absent, and one of the alternatives has none.
        assert_choices("foo(?:x.*bar)?", &[&["foo"]]);
        assert_choices("foo|[a-z]+", &[]);
        assert_choices("a", &[]);
        assert_choices("(", &[]);
    }
}
