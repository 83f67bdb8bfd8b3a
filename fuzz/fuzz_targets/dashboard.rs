//! Requests to the dashboard, against the oracle of its tests, which says what is checked.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../dashboard/tests/oracle/mod.rs"]
mod oracle;

fuzz_target!(|input: oracle::Input| oracle::run(&input));
