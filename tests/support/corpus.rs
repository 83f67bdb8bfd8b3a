//! The corpus of a fuzzer, run again.

use arbitrary::{Arbitrary, Unstructured};
use std::fs;

/// Runs each file of the folder `corpus`, as the fuzzer runs it.
pub(crate) fn replay<I: for<'a> Arbitrary<'a>>(corpus: &str, run: impl Fn(&I)) {
    let mut inputs = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        if let Ok(input) = I::arbitrary_take_rest(Unstructured::new(&bytes)) {
            run(&input);
            inputs += 1;
        }
    }
    assert!(inputs > 100, "{inputs} inputs are not the corpus");
}
