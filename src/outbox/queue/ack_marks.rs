//! Which messages are acknowledged when a number of bytes is. Pure.

use std::collections::VecDeque;

/// How many marks are kept apart. Beyond that the newest ones count as one.
const MOST: usize = 1024;

/// The ends of messages on one connection: in accepted bytes, and in positions.
#[derive(Debug, Default)]
pub(crate) struct AckMarks {
    /// Both grow.
    ends: VecDeque<(u64, u64)>,
}

impl AckMarks {
    /// All messages before `position` lie within the first `accepted` bytes.
    pub(crate) fn push(&mut self, accepted: u64, position: u64) {
        if self.ends.len() == MOST {
            self.ends.pop_back();
        }
        self.ends.push_back((accepted, position));
    }

    /// The position before which all messages are acknowledged when `acknowledged` bytes are, if that is new.
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
