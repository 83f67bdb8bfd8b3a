//! Whether free room reaches a sender that is polled for it.

use crate::checks::Checks;
use crate::plan::Plan;
use hangup::outbox::{OutboxStatus, Overflow};
use std::time::Duration;
use tokio::time::Instant;

/// How long a sender that is not polled delays the others.
const PATIENCE: Duration = Duration::from_millis(20);

/// The timer is up to 1 ms late, each time.
const LATE: Duration = Duration::from_millis(2);

/// No message is larger.
const LARGEST: usize = 420;

/// What the last look has found.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Since when there was room that a sender waits for, and what has happened until then.
    unused: Option<(Instant, [u64; 3])>,
}

impl Room {
    /// Looks at an outbox without a store in which senders wait for room. `unpolled` of them may hold room and not be polled.
    /// Nothing has polled one of these, or dropped one, if `steps` is the same as before.
    pub(crate) fn look(
        &mut self,
        plan: &Plan,
        status: &OutboxStatus,
        checks: &Checks,
        unpolled: usize,
        steps: u64,
    ) {
        let (sending, offered, accepted) = checks.senders();
        let is_free =
            status.queued < plan.capacity && status.bytes.saturating_add(LARGEST) <= plan.max_bytes;
        if plan.overflow != Overflow::Wait || !is_free || sending == 0 {
            self.unused = None;
            return;
        }
        let now = Instant::now();
        let events = [offered, accepted, steps];
        match self.unused {
            Some((since, before)) if before == events => {
                let limit = (PATIENCE + LATE) * (unpolled as u32 + 1);
                assert!(
                    now - since <= limit,
                    "13: {sending} senders wait for {:?} beside {unpolled}: {status:?}",
                    now - since
                );
            }
            _ => self.unused = Some((now, events)),
        }
    }
}
