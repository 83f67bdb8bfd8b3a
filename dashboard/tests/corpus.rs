//! The inputs that the fuzzer of the dashboard has found, run again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod oracle;

use arbitrary::{Arbitrary, Unstructured};
use std::fs;

#[test]
fn every_input_of_the_corpus_is_answered_as_the_oracle_says() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/dashboard");
    let mut inputs = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        if let Ok(input) = oracle::Input::arbitrary_take_rest(Unstructured::new(&bytes)) {
            oracle::run(&input);
            inputs += 1;
        }
    }
    assert!(inputs > 100, "{inputs} inputs are not the corpus");
}
