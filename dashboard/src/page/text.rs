//! Sizes, times and names, as they are shown.

use crate::exchange::Exchange;
use crate::html::escape;
use indicatif::{HumanBytes, HumanCount};
use percent_encoding::percent_decode_str;
use std::fmt::Write;
use std::time::Duration;

/// Longer requests are shown by their beginning.
const LONGEST: usize = 160;

/// A number of bytes, for people and for programs.
pub(crate) fn size(bytes: u64) -> String {
    let exact = HumanCount(bytes);
    format!(
        "<data value=\"{bytes}\" title=\"{exact} bytes\">{}</data>",
        HumanBytes(bytes)
    )
}

pub(crate) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// How long ago something was: to the second, so that it does not flicker.
pub(crate) fn ago(then: Duration) -> String {
    match then.as_secs() {
        0 => "just now".to_owned(),
        1..10 => format!("{} s ago", then.as_secs()),
        _ => format!("{} ago", time(then)),
    }
}

/// A request and its status, readable: not percent-encoded, with whatever could pass for something else
/// spelt out.
pub(crate) fn request(exchange: &Exchange) -> String {
    let request = format!("{} {}", exchange.method, exchange.target);
    let request = percent_decode_str(&request).decode_utf8_lossy();
    let mut shown = String::new();
    for (index, char) in request.chars().enumerate() {
        if index == LONGEST {
            shown.push('…');
            break;
        }
        if is_hidden(char) {
            // To write to a String cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(char));
        } else {
            shown.push(char);
        }
    }
    format!("{} {}", escape(&shown), exchange.status.as_u16())
}

/// Whether a character is not seen, or makes others be seen elsewhere (text direction).
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
