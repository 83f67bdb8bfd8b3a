//! The inputs that the fuzzer of files has found, run again.

use super::{oracle, replay};

#[test]
fn every_input_of_the_corpus_is_answered_as_the_oracle_says() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/files");
    replay::replay(corpus, oracle::run);
}
