//! How many of the accepted bytes the peer has acknowledged.
//!
//! TCP counts the bytes of the socket. They are the stream's bytes only if nothing between the two changes
//! them, as TLS does, and nothing was sent before. No type tells, so it is measured: between two calls of the
//! stream the socket must have been given as many bytes as the stream has accepted (or one more, for a
//! connection that we opened). After one disagreement the count stays unknown.
//!
//! A pipe counts what waits in it, so the rest was read.

use super::sys::{Backlog, Target};
use crate::state::SharedState;

#[derive(Debug, Default)]
pub(super) struct AckTracker {
    /// The two counts have been compared; whether they agreed.
    agreed: Option<bool>,
    /// The last known number.
    acknowledged: Option<u64>,
}

/// How often to compare again when a call changes the counts meanwhile.
const LOOKS: usize = 8;

impl AckTracker {
    /// The number now; after the descriptor was detached, the last known one.
    pub(super) fn acknowledged(
        &mut self,
        target: Option<Target>,
        shared: &SharedState,
    ) -> Option<u64> {
        // Streams that only read cost no system call.
        if shared.counters.accepted() == 0 {
            return Some(0);
        }
        if let Some(target) = target {
            self.acknowledged = self.measure(target, shared);
        }
        self.acknowledged
    }

    fn measure(&mut self, target: Target, shared: &SharedState) -> Option<u64> {
        for _ in 0..LOOKS {
            if self.agreed == Some(false) {
                return None;
            }
            let accepted = shared.counters.accepted();
            // Within a call the kernel may have taken bytes that the stream has not counted yet.
            let mut between_calls = !shared.is_busy();
            let Backlog {
                written,
                unacknowledged,
            } = target.backlog(shared.is_shut_down())?;
            between_calls &= !shared.is_busy() && accepted == shared.counters.accepted();
            if between_calls {
                // A pipe does not count what went through it.
                let agrees = |written| written == accepted || written == accepted + 1;
                self.agreed = Some(written.is_none_or(agrees));
            }
            if self.agreed == Some(true) {
                // Bytes that the stream has not counted yet are the last ones, so this is never too many.
                let told = accepted.saturating_sub(unacknowledged);
                return self.acknowledged.max(Some(told));
            }
        }
        None
    }
}
