//! Requests for the files of a small folder, against the oracle of `tests/serve`, which says what is checked.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/serve/oracle.rs"]
mod oracle;

fuzz_target!(|input: oracle::Input| oracle::run(&input));
