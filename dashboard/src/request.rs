//! A request and its status, as text that is safe to print and to show.

use axum::http::{Method, StatusCode, Uri, Version};
use percent_encoding::percent_decode_str;
use std::fmt::{self, Write};

/// Longer targets are cut, in characters.
const LONGEST: usize = 160;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) version: Version,
    /// `None` while the handler runs.
    pub(crate) status: Option<StatusCode>,
}

/// `GET /a b 200`: decoded, cut, and with every invisible character escaped.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.method)?;
        let target = self.target.to_string();
        let target = percent_decode_str(&target).decode_utf8_lossy();
        for (index, char) in target.chars().enumerate() {
            if index == LONGEST {
                f.write_char('…')?;
                break;
            }
            if is_invisible(char) {
                write!(f, "\\u{{{:x}}}", u32::from(char))?;
            } else {
                f.write_char(char)?;
            }
        }
        match self.status {
            Some(status) => write!(f, " {}", status.as_u16()),
            None => Ok(()),
        }
    }
}

/// Control characters, characters without a glyph, and those that change the direction of the text
/// (Unicode Standard Annex #9) could make a line look like another one.
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(target: &str) -> String {
        let request = Request {
            method: Method::GET,
            target: target.parse().unwrap_or_default(),
            version: Version::HTTP_11,
            status: Some(StatusCode::NOT_FOUND),
        };
        request.to_string()
    }

    #[test]
    fn a_hostile_target_is_escaped() {
        let target = "/%E2%80%AE%1B[31m%0A%C2%9Bx%00%FF%C3%BC";
        let expected = "GET /\\u{202e}\\u{1b}[31m\\u{a}\\u{9b}x\\u{0}\u{fffd}ü 404";
        assert_eq!(shown(target), expected);
    }

    #[test]
    fn a_long_target_is_cut() {
        let shown = shown(&format!("/{}", "long".repeat(15_000)));
        assert!(shown.ends_with("long… 404") || shown.ends_with("… 404"));
        assert_eq!(
            shown.chars().count(),
            "GET ".len() + LONGEST + "… 404".chars().count()
        );
    }
}
