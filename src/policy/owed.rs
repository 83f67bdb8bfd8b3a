//! Decides whether a peer takes what the kernel holds for it. Pure: the caller passes the readings in, at regular
//! intervals.

use super::stall_policy::{LOOKS, StallPolicy};

/// The readings of one period in which the kernel holds bytes for the peer.
///
/// A peer that took everything that the kernel held a window ago is healthy, however little that was: it cannot take more
/// than there is.
#[derive(Debug)]
pub(crate) struct OwedWindow {
    bytes: u64,
    /// The drained and the held bytes of the last readings; the `n`th reading is at `n % LOOKS`.
    marks: [(u64, u64); LOOKS as usize],
    looks: usize,
}

impl OwedWindow {
    /// Begins with the first reading.
    pub(crate) fn new(policy: StallPolicy, drained: u64, owed: u64) -> Self {
        Self {
            bytes: policy.bytes(),
            marks: [(drained, owed); LOOKS as usize],
            looks: 1,
        }
    }

    /// Adds a reading, a twelfth of a window after the last one. Returns whether the peer has stalled.
    pub(crate) fn look(&mut self, drained: u64, owed: u64) -> bool {
        let mark = &mut self.marks[self.looks % LOOKS as usize];
        let (drained_then, owed_then) = *mark;
        let taken = drained.saturating_sub(drained_then);
        let stalled = self.looks >= LOOKS as usize && taken < self.bytes.min(owed_then);
        *mark = (drained, owed);
        self.looks += 1;
        stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn window(bytes: u64, owed: u64) -> OwedWindow {
        OwedWindow::new(StallPolicy::new(bytes, Duration::from_secs(12)), 0, owed)
    }

    #[test]
    fn nothing_taken_in_a_window() {
        let mut window = window(100, 1000);
        let stalled: Vec<_> = (0..12).map(|_| window.look(0, 1000)).collect();
        assert_eq!(stalled.iter().position(|stalled| *stalled), Some(11));
    }

    #[test]
    fn enough_is_enough() {
        let mut window = window(100, 10_000);
        assert!((1..100).all(|look| !window.look(look * 9, 10_000)));
        // From here on, it takes 99 bytes in twelve readings.
        let after = (0..12).map(|look| window.look(99 * 9 + look * 99 / 12, 10_000));
        assert!(after.last().unwrap());
    }

    #[test]
    fn all_that_was_owed_is_enough() {
        let mut window = window(100, 3);
        assert!((1..100).all(|look| !window.look(look / 4, 3)));
        let mut window = self::window(100, 3);
        assert!((1..100).any(|look| window.look(look / 5, 3)));
    }
}
