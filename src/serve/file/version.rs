//! The version of a file: its entity tag and its modification date.

use http::HeaderValue;
use httpdate::HttpDate;
use std::fs::Metadata;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// The entity tag, with its quotes, in ASCII. It is a strong one: on most file systems the modification time is finer than
    /// the time that a change takes.
    tag: HeaderValue,
    /// In whole seconds, the resolution of dates in HTTP.
    modified: Option<SystemTime>,
}

impl Version {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
        match modified.duration_since(UNIX_EPOCH) {
            Ok(since) => Self::new(since, metadata.len()),
            Err(before) => Self::before_1970(before.duration(), metadata.len()),
        }
    }

    /// A time before 1970 is not sent as a date.
    fn before_1970(before: Duration, length: u64) -> Self {
        Self {
            tag: tag(b"\"-", before.as_nanos(), length.into()),
            modified: None,
        }
    }

    fn new(since: Duration, length: u64) -> Self {
        // A date in HTTP has a year of four digits.
        let seconds = Some(since.as_secs()).filter(|seconds| *seconds < 253_402_300_800);
        Self {
            tag: tag(b"\"", since.as_nanos(), length.into()),
            modified: seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        }
    }

    /// The version of a file that was compressed in this way. Another file of the same time and length may have another
    /// coding.
    pub(super) fn coded(self, coding: &str) -> Self {
        let plain = self.tag().trim_end_matches('"');
        // Both are ASCII. A tag that could not be made would be left as it is.
        let coded = HeaderValue::try_from(format!("{plain}-{coding}\""));
        let tag = coded.unwrap_or_else(|_| self.tag.clone());
        Self { tag, ..self }
    }

    pub(super) fn tag(&self) -> &str {
        self.tag.to_str().unwrap_or_default()
    }

    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// The entity tag and the date, as the values of fields of a response that is made `now`. The date is not in the future,
    /// whatever the file says (RFC 9110, section 8.8.2.1).
    pub(super) fn into_fields(self, now: SystemTime) -> (HeaderValue, Option<HeaderValue>) {
        let modified = self.modified.map(|modified| modified.min(now));
        (self.tag, modified.and_then(date))
    }

    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self::new(Duration::from_millis(784_111_777_500), 20)
    }
}

/// A date in the one format that HTTP sends (RFC 9110, section 5.6.7), which has 29 characters.
fn date(time: SystemTime) -> Option<HeaderValue> {
    let mut date = [0; 29];
    let mut rest = &mut date[..];
    write!(rest, "{}", HttpDate::from(time)).ok()?;
    HeaderValue::from_bytes(&date).ok()
}

/// The most digits of a tag's number.
const DIGITS: usize = u128::BITS as usize / 4;

/// `"nanoseconds-length"`, in hexadecimal, with `quote` at its begin. Each response has one, and `format!` takes twenty times as
/// many instructions.
fn tag(quote: &[u8], nanoseconds: u128, length: u128) -> HeaderValue {
    // From the end to the beginning: the number of digits is not known before.
    let mut tag = [b'"'; 2 * DIGITS + 4];
    let mut start = tag.len() - 1;
    for (number, before) in [(length, &b"-"[..]), (nanoseconds, quote)] {
        let digits = write_hexadecimal(&mut tag[..start], number);
        start = digits - before.len();
        tag[start..digits].copy_from_slice(before);
    }
    HeaderValue::from_bytes(&tag[start..]).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Writes the digits of `number` to the end of `place`, and returns where they begin.
fn write_hexadecimal(place: &mut [u8], mut number: u128) -> usize {
    let mut start = place.len();
    loop {
        start -= 1;
        place[start] = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
        if number == 0 {
            return start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_change_of_time_or_length_is_another_version() {
        let version = Version::example();
        assert_eq!(
            version.clone().into_fields(SystemTime::now()).1.unwrap(),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        let later = SECOND + Duration::from_nanos(1);
        let versions = [
            Version::new(SECOND, 1),
            Version::new(SECOND, 2),
            Version::new(later, 1),
            Version::before_1970(SECOND, 1),
            Version::before_1970(later, 1),
        ];
        let tags: std::collections::HashSet<_> = versions.iter().map(Version::tag).collect();
        assert_eq!(tags.len(), versions.len(), "{tags:?}");
    }

    #[test]
    fn tags_are_hexadecimal() {
        for number in [0, 1, 15, 16, 255, 256, 1 << 64, u128::MAX] {
            assert_eq!(tag(b"\"", number, 7), format!("\"{number:x}-7\""));
            assert_eq!(tag(b"\"-", 7, number), format!("\"-7-{number:x}\""));
        }
    }

    #[test]
    fn times_that_http_cannot_say() {
        for version in [
            Version::before_1970(SECOND, 1),
            Version::new(Duration::MAX, 1),
        ] {
            assert!(version.tag().len() > 2);
            assert_eq!(version.into_fields(SystemTime::now()).1, None);
        }
    }

    /// A file may be from the future. A response is not.
    #[test]
    fn the_future() {
        let version = Version::new(2 * SECOND, 1);
        let at = |now| version.clone().into_fields(UNIX_EPOCH + now).1.unwrap();
        assert_eq!(at(SECOND), "Thu, 01 Jan 1970 00:00:01 GMT");
        assert_eq!(at(3 * SECOND), "Thu, 01 Jan 1970 00:00:02 GMT");
        assert_eq!(version.modified(), Some(UNIX_EPOCH + 2 * SECOND));
    }
}
