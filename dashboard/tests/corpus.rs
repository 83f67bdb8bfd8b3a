//! The inputs that the fuzzer of the dashboard has found, run again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod oracle;
#[path = "../../tests/support/corpus.rs"]
mod replay;

#[test]
fn every_input_of_the_corpus_is_answered_as_the_oracle_says() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/dashboard");
    replay::replay(corpus, oracle::run);
}
