//! Numbers of errors in a line. A number counts only behind a word that says whose it is, or alone.

use hangup::errors::{OsError, Platform};
use std::ops::RangeInclusive;

/// Windows' numbers of sockets. No other platform has any of them.
const WINSOCK: RangeInclusive<i32> = 10_000..=11_999;

/// Negated `errno`, as the kernel returns it.
const NEGATED: RangeInclusive<i32> = -200..=-1;

/// Words behind which a code of the operating system stands.
const OS: &[&str] = &[
    "os error",
    "os { code",
    "socketexception",
    "so_error",
    "system error",
    "asio.system",
    "[system",
    "lwip_connect_r",
];

/// Words behind which a negated `errno` or a number of Winsock stands. `code` alone may be anything's.
const CODE: &[&str] = &[
    "(code",
    "err",
    "errcode",
    "error",
    "error code",
    "errorcode",
    "nativeerrorcode",
    "rc",
    "ret",
    "return code",
    "returned",
    "winsock",
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
    if let Some(code) = behind(line, "[Errno").find(|code| NEGATED.contains(code)) {
        return OsError::from_lookup(code, platform);
    }
    let line = line.to_ascii_lowercase();
    let all = |words: &'static [&str]| words.iter().flat_map(|word| behind(&line, word));
    if let Some(code) = all(&["winerror", "win32exception"]).next() {
        return OsError::from_code(code, Platform::Windows);
    }
    if let Some(error) = hresult(&line) {
        return Some(error);
    }
    let of_system = all(OS).find_map(|code| of(code, platform));
    let of_library = all(&["errno"]).find_map(|code| errno(code, platform));
    of_system.or(of_library).or_else(|| {
        // The status of a program is not an errno.
        let is_program = line.contains("exit") || line.contains("signal");
        all(CODE)
            .filter(|code| WINSOCK.contains(code) || (NEGATED.contains(code) && !is_program))
            .find_map(|code| errno(code, platform))
    })
}

/// The error of the first `HRESULT` that stands for an error of Windows: `0x80072746` is 10054.
fn hresult(line: &str) -> Option<OsError> {
    const FACILITY_WIN32: u32 = 0x8007_0000;
    line.match_indices("0x8007").find_map(|(place, _)| {
        let (code, _) = parse(&line[place..])?;
        OsError::from_code((code as u32 ^ FACILITY_WIN32) as i32, Platform::Windows)
    })
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
    let joins = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).filter_map(move |(place, _)| {
        let after = &line[place + word.len()..];
        if line[..place].ends_with(joins) || after.starts_with(joins) {
            return None;
        }
        let number = after.trim_start_matches([' ', '=', ':', '(', '[', '"', '\'', '#']);
        parse(number).map(|(code, _)| code)
    })
}

/// The number that `text` begins with, and the rest.
fn parse(text: &str) -> Option<(i32, &str)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let (radix, text) = match text.strip_prefix("0x") {
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
