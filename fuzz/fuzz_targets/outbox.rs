//! Lists of operations into the outbox's buffer, against a plain model: the one of
//! `tests/outbox/model`, which says what is compared.

#![no_main]
#![allow(dead_code, unreachable_pub)] // the files below are parts of a library, and of a test

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

// The queue is no part of the library's interface, and is compiled here from its source.
#[path = "../../tests/outbox/model/plain.rs"]
mod plain;
#[path = "../../src/outbox/queue/mod.rs"]
mod queue;

use plain::{Operation, Pair};

#[derive(Arbitrary, Debug)]
struct Input {
    max_bytes: u16,
    max_len: u16,
    with_priorities: bool,
    operations: Vec<(u8, u8, u8)>,
}

fuzz_target!(|input: Input| {
    let mut pair = Pair::new(input.max_bytes.into(), input.max_len.into());
    if input.with_priorities {
        pair.prioritize();
    }
    for operation in input.operations {
        pair.run(Operation::new(operation));
    }
});
