//! The `Range` field (RFC 9110, section 14).
//!
//! The crates for it refuse requests that a server should accept: http-range-header refuses a suffix that is longer than
//! the file; headers refuses that too, and a unit in capitals.

use http::header::RANGE;
use http::{HeaderMap, HeaderValue};
use std::ops::Range;

/// The part of a file that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    Part(Range<u64>),
    /// A range that the file does not have.
    Unsatisfiable,
}

/// What `headers` ask for of a file of `length` bytes.
///
/// A field that this server does not understand is ignored (section 14.2): another unit, bad syntax, several fields. Several
/// ranges are ignored too, because a client has to accept the whole file instead. So is any range of an empty file.
pub(super) fn wanted(headers: &HeaderMap, length: u64) -> Wanted {
    let mut fields = headers.get_all(RANGE).iter();
    match (fields.next(), fields.next()) {
        (Some(field), None) if length > 0 => of_field(field, length).unwrap_or(Wanted::Whole),
        _ => Wanted::Whole,
    }
}

/// The one range of a field. `None` if the field is to be ignored: another unit, several ranges, or a syntax error
/// (RFC 9110, section 14.2).
fn of_field(field: &HeaderValue, length: u64) -> Option<Wanted> {
    let (unit, ranges) = field.to_str().ok()?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut ranges = ranges
        .split(',')
        .map(str::trim)
        .filter(|range| !range.is_empty());
    let range = ranges.next()?;
    if ranges.next().is_some() {
        return None;
    }
    let (first, last) = range.split_once('-')?;
    let range = match (position(first), position(last)) {
        (Some(first), None) if last.is_empty() => first..length,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (None, Some(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
        _ => return None,
    };
    Some(match range.start < range.end {
        true => Wanted::Part(range),
        false => Wanted::Unsatisfiable,
    })
}

/// A position with any number of digits. One that does not fit into 64 bits counts as the largest, which is beyond the
/// end of any file.
fn position(digits: &str) -> Option<u64> {
    let valid = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    valid.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str, length: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range.parse().unwrap());
        wanted(&headers, length)
    }

    #[test]
    fn parts_of_twenty_bytes() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-19", 0..20),
            ("bytes=0-", 0..20),
            ("bytes=5-9", 5..10),
            ("bytes=5-1000", 5..20),
            ("bytes=19-", 19..20),
            ("bytes=-1", 19..20),
            ("bytes=-20", 0..20),
            ("bytes=-100", 0..20),
            ("Bytes=1-2", 1..3),
            ("bytes= 1-2 ,", 1..3),
            ("bytes=1-99999999999999999999999", 1..20),
        ] {
            assert_eq!(of(range, 20), Wanted::Part(part), "{range}");
        }
        for range in [
            "bytes=20-",
            "bytes=20-30",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(of(range, 20), Wanted::Unsatisfiable, "{range}");
        }
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=2-1",
            "bytes=+1-2",
            "bytes=1",
            "bytes=--1",
            "lines=1-2",
            "bytes=0-1,3-4",
            "bytes=30-40,50-60",
            "bytes=0-1, x",
            "bytes=1 - 2",
        ] {
            assert_eq!(of(range, 20), Wanted::Whole, "{range}");
        }
    }

    #[test]
    fn an_empty_file_has_no_parts() {
        for range in ["bytes=0-", "bytes=-1", "bytes=5-"] {
            assert_eq!(of(range, 0), Wanted::Whole, "{range}");
        }
    }

    #[test]
    fn two_fields_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(wanted(&headers, 20), Wanted::Whole);
    }
}
