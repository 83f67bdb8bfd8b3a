//! The model: it has nothing to say, and takes its time.

use std::hint::black_box;
use std::time::{Duration, Instant};

const WORDS: [&str; 16] = [
    "the", "stream", "is", "over", "when", "nobody", "reads", "it", "and", "a", "model", "that",
    "knows", "may", "rest", "now",
];

pub(crate) struct Model {
    work: Duration,
    state: u64,
    /// How long it has computed.
    pub(crate) computed: Duration,
}

impl Model {
    pub(crate) fn new(work: Duration) -> Self {
        Self {
            work,
            state: 0x9E37_79B9_7F4A_7C15,
            computed: Duration::ZERO,
        }
    }

    /// Computes the next token. A processor is busy with it all the time.
    pub(crate) fn next(&mut self) -> &'static str {
        let begun = Instant::now();
        while begun.elapsed() < self.work {
            for _ in 0..1000 {
                self.step();
            }
        }
        self.computed += begun.elapsed();
        self.step();
        WORDS[(self.state >> 60) as usize]
    }

    /// xorshift.
    fn step(&mut self) {
        let mut state = self.state;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.state = black_box(state);
    }
}
