//! Translates acknowledged bytes into acknowledged messages.
//!
//! TCP acknowledges positions in a stream of bytes. A mark says that all messages below a number end at or before a
//! position.
//!
//! ```text
//!  marks:       (100, 3)       (250, 5)         (400, 9)
//!  bytes:  0 ──────┼──────────────┼────────────────┼───▶
//!                         ▲
//!               acknowledged: 180 → messages below 3
//! ```

use std::collections::VecDeque;

/// How many marks are kept apart. Beyond that, a new mark replaces the newest one: its messages are confirmed a little
/// later.
const MOST: usize = 1024;

/// The marks of one connection: the ends of messages, in accepted bytes and in positions.
#[derive(Debug, Default)]
pub(crate) struct AckMarks {
    /// Positions and numbers, both growing.
    ends: VecDeque<(u64, u64)>,
}

impl AckMarks {
    /// Adds a mark: all messages before `position` lie within the first `accepted` bytes.
    pub(crate) fn push(&mut self, accepted: u64, position: u64) {
        if self.ends.len() == MOST {
            self.ends.pop_back();
        }
        self.ends.push_back((accepted, position));
    }

    /// Removes the marks up to `acknowledged`. Returns the position before which all messages are acknowledged, if any
    /// mark was passed.
    pub(crate) fn pass(&mut self, acknowledged: u64) -> Option<u64> {
        let mut before = None;
        while let Some(&(accepted, position)) = self.ends.front() {
            if accepted > acknowledged {
                break;
            }
            before = Some(position);
            self.ends.pop_front();
        }
        before
    }

    /// Whether every mark is passed.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}
