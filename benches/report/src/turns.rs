//! How often the compared programs take turns.

use std::time::{Duration, Instant};

/// The fewest turns that have quartiles.
const LEAST: usize = 3;

/// So many turns, or fewer if they take longer than `limit`, and three at the least.
pub(crate) fn turns(most: usize, limit: Duration) -> impl Iterator<Item = usize> {
    let began = Instant::now();
    (0..most).take_while(move |turn| *turn < LEAST || began.elapsed() < limit)
}
