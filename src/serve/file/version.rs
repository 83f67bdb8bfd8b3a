//! The version of a file: its entity tag and its modification date.

use http::HeaderValue;
use std::fs::Metadata;
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
        // A time before 1970 is not sent.
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self::new(since, metadata.len())
    }

    fn new(since: Option<Duration>, length: u64) -> Self {
        let nanoseconds = since.map_or(0, |since| since.as_nanos());
        // A date in HTTP has a year of four digits.
        let seconds = since.map(|since| since.as_secs());
        let seconds = seconds.filter(|seconds| *seconds < 253_402_300_800);
        Self {
            tag: tag(nanoseconds, length.into()),
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

    /// The entity tag as the value of a field.
    pub(super) fn etag(&self) -> HeaderValue {
        self.tag.clone()
    }

    pub(super) fn last_modified(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&httpdate::fmt_http_date(self.modified?)).ok()
    }

    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self::new(Some(Duration::from_millis(784_111_777_500)), 20)
    }
}

/// The most digits of a tag's number.
const DIGITS: usize = u128::BITS as usize / 4;

/// `"nanoseconds-length"`, in hexadecimal. Each response has one, and `format!` takes twenty times as many instructions.
fn tag(nanoseconds: u128, length: u128) -> HeaderValue {
    // From the end to the beginning: the number of digits is not known before.
    let mut tag = [b'"'; 2 * DIGITS + 3];
    let mut start = tag.len() - 1;
    for (number, after) in [(length, b'-'), (nanoseconds, b'"')] {
        start = write_hexadecimal(&mut tag[..start], number) - 1;
        tag[start] = after;
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

    #[test]
    fn a_change_of_time_or_length_is_another_version() {
        let version = Version::example();
        assert_eq!(
            version.last_modified().unwrap(),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        let second = Duration::from_secs(1);
        assert_ne!(
            Version::new(Some(second), 1).tag(),
            Version::new(Some(second), 2).tag()
        );
        let later = second + Duration::from_nanos(1);
        assert_ne!(
            Version::new(Some(second), 1).tag(),
            Version::new(Some(later), 1).tag()
        );
    }

    #[test]
    fn tags_are_hexadecimal() {
        for number in [0, 1, 15, 16, 255, 256, 1 << 64, u128::MAX] {
            assert_eq!(tag(number, 7), format!("\"{number:x}-7\""));
            assert_eq!(tag(7, number), format!("\"7-{number:x}\""));
        }
    }

    #[test]
    fn times_that_http_cannot_say() {
        for time in [None, Some(Duration::MAX)] {
            let version = Version::new(time, 1);
            assert!(version.tag().len() > 2);
            assert_eq!(version.last_modified(), None);
        }
    }
}
