//! Files that were compressed beforehand, and the client's `Accept-Encoding` (RFC 9110, section 12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A content coding, and the suffix of the files that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) name: &'static str,
    pub(super) suffix: &'static str,
}

/// In our order of preference: the smallest first.
const CODINGS: [Coding; 3] = [
    Coding {
        name: "br",
        suffix: ".br",
    },
    Coding {
        name: "zstd",
        suffix: ".zst",
    },
    Coding {
        name: "gzip",
        suffix: ".gz",
    },
];

/// The codings that a client accepts, and prefers to no coding, in its order of preference.
pub(super) fn accepted(headers: &HeaderMap) -> Vec<Coding> {
    let fields = headers.get_all(ACCEPT_ENCODING).iter();
    let elements: Vec<(&str, u16)> = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .filter_map(element)
        .collect();
    let weight = |name: &str| {
        let named = elements
            .iter()
            .find(|(coding, _)| coding.eq_ignore_ascii_case(name));
        let any = || elements.iter().find(|(coding, _)| *coding == "*");
        named.or_else(any).map_or(0, |(_, weight)| *weight)
    };
    let identity = elements
        .iter()
        .find(|(coding, _)| coding.eq_ignore_ascii_case("identity"));
    let least = identity.map_or(1, |(_, weight)| (*weight).max(1));
    let mut accepted: Vec<Coding> = CODINGS
        .into_iter()
        .filter(|coding| weight(coding.name) >= least)
        .collect();
    // A stable sort: codings of the same weight stay in our order.
    accepted.sort_by_key(|coding| std::cmp::Reverse(weight(coding.name)));
    accepted
}

/// A coding and its weight in thousandths.
fn element(element: &str) -> Option<(&str, u16)> {
    let mut parts = element.split(';').map(str::trim);
    let coding = parts.next().filter(|coding| !coding.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let weight = match weight {
        None => 1000,
        Some(weight) => match weight.parse::<f32>() {
            Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0) as u16,
            _ => return None,
        },
    };
    Some((coding, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_accepts() {
        for (field, expected) in [
            ("", ""),
            ("gzip", "gzip"),
            ("gzip, deflate, br, zstd", "br zstd gzip"),
            ("gzip;q=1.0, br;q=0.5", "gzip br"),
            ("br;q=0, gzip", "gzip"),
            ("*", "br zstd gzip"),
            ("*;q=0.5, zstd;q=0", "br gzip"),
            ("identity;q=0.8, gzip;q=0.5, br", "br"),
            ("GZIP; q=0.5", "gzip"),
            ("gzip;q=x", ""),
            ("gzip;q=2", ""),
            ("x-snappy", ""),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, field.parse().unwrap());
            let names: Vec<_> = accepted(&headers)
                .iter()
                .map(|coding| coding.name)
                .collect();
            assert_eq!(names.join(" "), expected, "{field}");
        }
        assert_eq!(accepted(&HeaderMap::new()), []);
    }
}
