//! Which messages are acknowledged when a number of bytes is. Pure.

use std::collections::VecDeque;

/// How many marks are kept apart. Beyond that the newest ones count as one.
const MOST: usize = 1024;

/// The ends of messages on one connection: in accepted bytes, and in message numbers.
#[derive(Debug, Default)]
pub(crate) struct AckMarks {
    /// Both grow.
    ends: VecDeque<(u64, u64)>,
}

impl AckMarks {
    /// All messages below `number` lie within the first `accepted` bytes.
    pub(crate) fn push(&mut self, accepted: u64, number: u64) {
        if self.ends.len() == MOST {
            self.ends.pop_back();
        }
        self.ends.push_back((accepted, number));
    }

    /// The number below which all messages are acknowledged when `acknowledged` bytes are, if that is new.
    pub(crate) fn pass(&mut self, acknowledged: u64) -> Option<u64> {
        let mut below = None;
        while let Some(&(accepted, number)) = self.ends.front() {
            if accepted > acknowledged {
                break;
            }
            below = Some(number);
            self.ends.pop_front();
        }
        below
    }

    /// Whether every mark is passed.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}
