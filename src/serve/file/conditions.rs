//! Conditional requests (RFC 9110, section 13).

use super::version::Version;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};
use http::{HeaderMap, StatusCode};
use std::time::SystemTime;

/// The status that replaces the file, if the conditions of a GET or a HEAD require one, in the order of section 13.2.2.
pub(super) fn instead(headers: &HeaderMap, version: &Version) -> Option<StatusCode> {
    let modified = version.modified();
    let is_later = |than: SystemTime| modified.is_some_and(|modified| modified > than);
    if headers.contains_key(IF_MATCH) {
        if !any_tag(headers, IF_MATCH, |tag| tag == version.tag()) {
            return Some(StatusCode::PRECONDITION_FAILED);
        }
    } else if date(headers, IF_UNMODIFIED_SINCE).is_some_and(is_later) {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    if headers.contains_key(IF_NONE_MATCH) {
        let is_same = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag) == version.tag();
        if any_tag(headers, IF_NONE_MATCH, is_same) {
            return Some(StatusCode::NOT_MODIFIED);
        }
    } else if let Some(since) = date(headers, IF_MODIFIED_SINCE)
        && modified.is_some()
        && !is_later(since)
    {
        return Some(StatusCode::NOT_MODIFIED);
    }
    None
}

/// Whether a range may be sent: the client has the rest of this very version (section 13.1.5).
pub(super) fn allow_range(headers: &HeaderMap, version: &Version) -> bool {
    let mut fields = headers.get_all(IF_RANGE).iter();
    let Some(field) = fields.next() else {
        return true;
    };
    let Ok(condition) = field.to_str().map(str::trim) else {
        return false;
    };
    if fields.next().is_some() {
        return false;
    }
    match httpdate::parse_http_date(condition) {
        Ok(date) => version.modified() == Some(date),
        Err(_) => condition == version.tag(),
    }
}

/// The date of a field. A field that is not a date, or comes twice, is ignored.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let mut fields = headers.get_all(name).iter();
    let field = fields.next()?;
    match fields.next() {
        None => httpdate::parse_http_date(field.to_str().ok()?.trim()).ok(),
        Some(_) => None,
    }
}

/// Whether one of a list of entity tags, which may be in several fields, is `wanted`, or the list is `*`.
fn any_tag(headers: &HeaderMap, name: HeaderName, wanted: impl Fn(&str) -> bool) -> bool {
    headers.get_all(name).iter().any(|field| {
        let Ok(mut rest) = field.to_str() else {
            return false;
        };
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest == "*" {
                return true;
            }
            let weak = usize::from(rest.starts_with("W/")) * 2;
            let Some(length) = rest[weak..]
                .strip_prefix('"')
                .and_then(|rest| rest.find('"'))
            else {
                return false;
            };
            let (tag, after) = rest.split_at(weak + length + 2);
            if wanted(tag) {
                return true;
            }
            rest = after;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn status(fields: &[(HeaderName, &str)]) -> Option<u16> {
        instead(&headers(fields), &Version::example()).map(|status| status.as_u16())
    }

    #[test]
    fn conditions_one_by_one() {
        let version = Version::example();
        let (tag, other) = (version.tag(), "\"other, \"");
        let (weak, both) = (format!("W/{tag}"), format!("{other} ,, {tag}"));
        for (fields, expected) in [
            (vec![], None),
            (vec![(IF_MATCH, tag)], None),
            (vec![(IF_MATCH, "*")], None),
            (vec![(IF_MATCH, &*both)], None),
            (vec![(IF_MATCH, other), (IF_MATCH, tag)], None),
            (vec![(IF_MATCH, other)], Some(412)),
            (vec![(IF_MATCH, &*weak)], Some(412)),
            (vec![(IF_MATCH, "no tag")], Some(412)),
            (vec![(IF_NONE_MATCH, tag)], Some(304)),
            (vec![(IF_NONE_MATCH, "*")], Some(304)),
            (vec![(IF_NONE_MATCH, &*weak)], Some(304)),
            (vec![(IF_NONE_MATCH, &*both)], Some(304)),
            (
                vec![(IF_NONE_MATCH, other), (IF_NONE_MATCH, tag)],
                Some(304),
            ),
            (vec![(IF_NONE_MATCH, other)], None),
            (vec![(IF_NONE_MATCH, "\"")], None),
            (vec![(IF_MODIFIED_SINCE, DATE)], Some(304)),
            (vec![(IF_MODIFIED_SINCE, AFTER)], Some(304)),
            (vec![(IF_MODIFIED_SINCE, BEFORE)], None),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], None),
            (
                vec![(IF_MODIFIED_SINCE, DATE), (IF_MODIFIED_SINCE, DATE)],
                None,
            ),
            (vec![(IF_UNMODIFIED_SINCE, DATE)], None),
            (vec![(IF_UNMODIFIED_SINCE, BEFORE)], Some(412)),
            (vec![(IF_MATCH, tag), (IF_UNMODIFIED_SINCE, BEFORE)], None),
            (
                vec![(IF_NONE_MATCH, other), (IF_MODIFIED_SINCE, DATE)],
                None,
            ),
            (vec![(IF_MATCH, other), (IF_NONE_MATCH, tag)], Some(412)),
        ] {
            assert_eq!(status(&fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn if_range_wants_the_very_version() {
        let version = Version::example();
        let weak = format!("W/{}", version.tag());
        for (condition, allowed) in [
            (version.tag(), true),
            (&weak, false),
            ("\"other\"", false),
            (DATE, true),
            (BEFORE, false),
            (AFTER, false),
            ("nonsense", false),
        ] {
            let headers = headers(&[(IF_RANGE, condition)]);
            assert_eq!(allow_range(&headers, &version), allowed, "{condition}");
        }
        assert!(allow_range(&HeaderMap::new(), &version));
    }
}
