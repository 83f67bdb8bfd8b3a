//! Sizes and times, as they are shown.

use indicatif::{HumanBytes, HumanCount};
use std::time::Duration;

/// A number of bytes, for people and for programs.
pub(super) fn size(bytes: u64) -> String {
    let exact = HumanCount(bytes);
    format!(
        "<data value=\"{bytes}\" title=\"{exact} bytes\">{}</data>",
        HumanBytes(bytes)
    )
}

pub(super) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

pub(super) fn time(time: Duration) -> String {
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

/// A time in the past, to the second, so that the display does not flicker.
pub(super) fn ago(then: Duration) -> String {
    match then.as_secs() {
        0 => "just now".to_owned(),
        1..10 => format!("{} s ago", then.as_secs()),
        _ => format!("{} ago", time(then)),
    }
}
