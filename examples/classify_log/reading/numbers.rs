//! Numbers of errors in a line. A number counts only behind a word that says whose it is, or alone.

use aho_corasick::AhoCorasick;
use hangup::errors::{OsError, Platform};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// Windows' numbers of sockets. No other platform has any of them.
const WINSOCK: RangeInclusive<i32> = 10_000..=11_999;

/// Negated `errno`, as the kernel returns it.
const NEGATED: RangeInclusive<i32> = -200..=-1;

/// Whose a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Windows,
    /// An `HRESULT`, which begins with the word.
    Hresult,
    System,
    Library,
    /// Anybody's: only a negated `errno` or a number of Winsock counts.
    Some,
}

/// Words behind which a number stands. The first word whose number means something decides.
const WORDS: &[(Owner, &str)] = &[
    (Owner::Windows, "winerror"),
    (Owner::Windows, "win32exception"),
    (Owner::Hresult, "0x8007"),
    (Owner::System, "os error"),
    (Owner::System, "os { code"),
    (Owner::System, "socketexception"),
    (Owner::System, "so_error"),
    (Owner::System, "system error"),
    (Owner::System, "asio.system"),
    (Owner::System, "[system"),
    (Owner::System, "lwip_connect_r"),
    (Owner::Library, "errno"),
    (Owner::Some, "(code"),
    (Owner::Some, "err"),
    (Owner::Some, "errcode"),
    (Owner::Some, "error"),
    (Owner::Some, "error code"),
    (Owner::Some, "errorcode"),
    (Owner::Some, "nativeerrorcode"),
    (Owner::Some, "rc"),
    (Owner::Some, "ret"),
    (Owner::Some, "return code"),
    (Owner::Some, "returned"),
    (Owner::Some, "winsock"),
];

/// The error of a line that is nothing but a number.
pub(super) fn alone(line: &str, platform: Platform) -> Option<OsError> {
    let (code, "") = parse(line.trim())? else {
        return None;
    };
    of(code, platform).or_else(|| OsError::from_lookup(code, platform))
}

/// The error of the first number that counts.
pub(super) fn find(line: &str, platform: Platform) -> Option<OsError> {
    // Python's `[Errno -3]` is getaddrinfo's.
    if line.contains("[Errno")
        && let Some(code) = behind(line, "[Errno").find(|code| NEGATED.contains(code))
    {
        return OsError::from_lookup(code, platform);
    }
    let marked = marked(line);
    let behind = |owner| {
        let of_owner = marked
            .iter()
            .filter(move |(word, _)| WORDS[*word].0 == owner);
        of_owner.map(|(_, code)| *code)
    };
    if let Some(code) = behind(Owner::Windows).next() {
        return OsError::from_code(code, Platform::Windows);
    }
    if let Some(error) = behind(Owner::Hresult).find_map(hresult) {
        return Some(error);
    }
    let of_system = || behind(Owner::System).find_map(|code| of(code, platform));
    let of_library = || behind(Owner::Library).find_map(|code| errno(code, platform));
    of_system().or_else(of_library).or_else(|| {
        behind(Owner::Some)
            .filter(|code| WINSOCK.contains(code) || (NEGATED.contains(code) && !is_program(line)))
            .find_map(|code| errno(code, platform))
    })
}

/// The status of a program is not an errno.
fn is_program(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("exit") || line.contains("signal")
}

/// The numbers that follow one of [`WORDS`], in the order of these.
fn marked(line: &str) -> Vec<(usize, i32)> {
    static AUTOMATON: LazyLock<AhoCorasick> = LazyLock::new(|| {
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(WORDS.iter().map(|(_, word)| word))
            .expect("the words fit in one automaton")
    });
    let found = AUTOMATON.find_overlapping_iter(line);
    let mut marked: Vec<_> = found
        .filter_map(|found| {
            let word = found.pattern().as_usize();
            let code = match WORDS[word].0 {
                Owner::Hresult => parse(&line[found.start()..]).map(|(code, _)| code),
                _ => code_between(&line[..found.start()], &line[found.end()..]),
            };
            Some((word, code?))
        })
        .collect();
    marked.sort_by_key(|(word, _)| *word);
    marked
}

/// The error that an `HRESULT` stands for, if it is one of Windows': `0x80072746` is 10054.
fn hresult(code: i32) -> Option<OsError> {
    const FACILITY_WIN32: u32 = 0x8007_0000;
    OsError::from_code((code as u32 ^ FACILITY_WIN32) as i32, Platform::Windows)
}

/// The error of `getaddrinfo` whose number stands behind `Errno`.
pub(super) fn look_up(line: &str, platform: Platform) -> Option<OsError> {
    let code = behind(line, "Errno").next()?;
    let platform = match WINSOCK.contains(&code) {
        true => Platform::Windows,
        false => platform,
    };
    OsError::from_lookup(code, platform)
}

/// A number of the C library's, negated or not. On Windows the library has numbers of its own, of which
/// there is no table.
fn errno(code: i32, platform: Platform) -> Option<OsError> {
    let code = code.checked_abs()?;
    if platform == Platform::Windows && !WINSOCK.contains(&code) {
        return None;
    }
    of(code, platform)
}

/// A number of Windows' sockets is theirs wherever the log is read.
fn of(code: i32, platform: Platform) -> Option<OsError> {
    match WINSOCK.contains(&code) {
        true => OsError::from_code(code, Platform::Windows),
        false => OsError::from_code(code, platform),
    }
}

/// The numbers that follow `word` where that stands by itself.
fn behind<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = i32> + 'a {
    line.match_indices(word)
        .filter_map(move |(place, _)| code_between(&line[..place], &line[place + word.len()..]))
}

/// The number that `after` begins with, if the word between it and `before` stands by itself.
fn code_between(before: &str, after: &str) -> Option<i32> {
    let joins = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if before.ends_with(joins) || after.starts_with(joins) {
        return None;
    }
    let number = after.trim_start_matches([' ', '=', ':', '(', '[', '"', '\'', '#']);
    parse(number).map(|(code, _)| code)
}

/// The number that `text` begins with, and the rest.
fn parse(text: &str) -> Option<(i32, &str)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let (radix, text) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(text) => (16, text),
        None => (10, text),
    };
    let is_end = |c: char| !c.is_ascii_alphanumeric();
    let (digits, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
    let number = sign * i64::from(u32::from_str_radix(digits, radix).ok()?);
    // An HRESULT is written as an unsigned number and kept as a signed one.
    let code = i32::try_from(number)
        .ok()
        .or_else(|| u32::try_from(number).ok().map(|code| code as i32))?;
    Some((code, rest))
}
