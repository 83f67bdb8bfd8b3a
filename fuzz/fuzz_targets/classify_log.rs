//! The line reader of the `classify_log` example: no line of a log makes it panic, on any platform, and
//! what it finds it can print.

#![no_main]

use hangup::errors::Platform;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

// An example is no library that a fuzz target could use.
#[path = "../../examples/classify_log/reading/mod.rs"]
mod reading;

static READER: LazyLock<reading::Reader> = LazyLock::new(reading::Reader::new);

fuzz_target!(|input: (u8, &str)| {
    let (platform, text) = input;
    let platform = Platform::ALL[usize::from(platform) % Platform::ALL.len()];
    if let Some(finding) = READER.read(text, platform) {
        assert!(!finding.to_string().is_empty());
        // The error that is named, if one is, has the class that is printed.
        assert!(
            finding
                .error
                .is_none_or(|error| error.class() == finding.class)
        );
    }
});
