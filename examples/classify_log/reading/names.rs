//! Names of errors in a line: `ECONNRESET`, `WSAECONNRESET`, `EAI_AGAIN`, and Erlang's `econnreset`.

use super::table::anywhere;
use hangup::errors::{OsError, Platform};

/// The first name in `line` that a platform has. `platform`'s own errors come first.
pub(super) fn find(line: &str, platform: Platform) -> Option<OsError> {
    words(line).find_map(|word| name(word, platform))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.len() >= 3)
}

/// Words that begin like a name, are none, and stand in many lines. The tables are searched to their end for a word
/// that they do not have.
const NONE: &[&str] = &[
    "error",
    "errors",
    "err",
    "event",
    "exception",
    "established",
    "expected",
    "exit",
    "eof",
    "example",
    "every",
    "endpoint",
];

fn name(word: &str, platform: Platform) -> Option<OsError> {
    // Some prefixes are Windows' own, wherever the log is read.
    let of_windows = ["WSA", "ERROR_", "WAIT_", "SEC_", "CERT_"];
    if of_windows.iter().any(|prefix| word.starts_with(prefix)) {
        return OsError::from_name(word, Platform::Windows);
    }
    // The longest is ENOTRECOVERABLE. Most words that begin like a name are none.
    if word.len() > 15 {
        return None;
    }
    if NONE.iter().any(|none| word.eq_ignore_ascii_case(none)) {
        return None;
    }
    let is_name = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    if word.starts_with('E') && word.bytes().all(is_name) {
        return OsError::from_name(word, platform).or_else(|| anywhere(word));
    }
    // An atom of Erlang. A shorter one may be any word.
    if word.starts_with('e') && word.len() >= 5 && word.bytes().all(|c| c.is_ascii_lowercase()) {
        let word = word.to_ascii_uppercase();
        return OsError::from_name(&word, platform).or_else(|| anywhere(&word));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_over_is_no_name() {
        for word in NONE.iter().map(|word| word.to_ascii_uppercase()) {
            assert_eq!(anywhere(&word), None, "{word}");
        }
    }
}
