//! The line parser of the `classify_log` example: no line of a log makes it fail, on any platform, and
//! what it finds it can say.

#![no_main]

use hangup::errors::Platform;
use libfuzzer_sys::fuzz_target;

#[path = "../../examples/classify_log/line.rs"]
mod line;

const PLATFORMS: [&str; 7] = [
    "linux",
    "macos",
    "freebsd",
    "dragonfly",
    "netbsd",
    "openbsd",
    "windows",
];

fuzz_target!(|input: (u8, &str)| {
    let (platform, text) = input;
    let name = PLATFORMS[usize::from(platform) % PLATFORMS.len()];
    let platform: Platform = name.parse().expect("a platform that is offered");
    if let Some(finding) = line::read(text, platform) {
        assert!(!finding.to_string().is_empty());
        // The error that is named, where one is, is of the class that is told.
        assert!(
            finding
                .error
                .is_none_or(|error| error.class() == finding.class)
        );
    }
});
