//! Escape sequences that colour a line.

use std::borrow::Cow;

/// How a sequence begins: as the terminal gets it, and as JSON, shells, syslog and pagers write its first byte.
const BEGINNINGS: [&str; 6] = ["\x1b[", "\\u001b[", "\\x1b[", "\\033[", "#033[", "^[["];

/// The line without its colours. They stand beside words and inside of them, where they hide names and numbers.
pub(crate) fn without_colours(line: &str) -> Cow<'_, str> {
    let Some((mut begin, mut len)) = next(line) else {
        return line.into();
    };
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    loop {
        plain.push_str(&rest[..begin]);
        rest = &rest[begin + len..];
        match next(rest) {
            Some(found) => (begin, len) = found,
            None => break,
        }
    }
    plain.push_str(rest);
    plain.into()
}

/// Where the first sequence begins, and its length.
fn next(text: &str) -> Option<(usize, usize)> {
    text.match_indices('[').find_map(|(bracket, _)| {
        let before = &text.as_bytes()[..=bracket];
        let begins = |beginning: &&str| {
            let at = before.len().checked_sub(beginning.len());
            at.is_some_and(|at| before[at..].eq_ignore_ascii_case(beginning.as_bytes()))
        };
        let begin = before.len() - BEGINNINGS.iter().copied().find(begins)?.len();
        let rest = &text.as_bytes()[before.len()..];
        let parameters = rest
            .iter()
            .take_while(|byte| b"0123456789:;?".contains(byte));
        let last = parameters.count();
        let is_complete = rest.get(last)?.is_ascii_alphabetic();
        is_complete.then_some((begin, before.len() + last + 1 - begin))
    })
}
