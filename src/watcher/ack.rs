//! How many of the accepted bytes the peer has acknowledged.
//!
//! Only TCP knows, and it knows of its own bytes. Those are the accepted ones if nothing between the
//! stream and the socket makes others of them, as TLS does, and nothing was sent before. That is not
//! asked but measured: between two calls of the stream the socket must have been given just as many
//! bytes as the stream has accepted (or one more, for a connection that we opened). If it ever was not,
//! nothing is told any more.

use super::sys::{Backlog, Target};
use crate::state::SharedState;

#[derive(Debug, Default)]
pub(super) struct AckTracker {
    /// The two counts have been compared; whether they agreed.
    agreed: Option<bool>,
    /// The last number told.
    acknowledged: Option<u64>,
}

/// How often to look again at counts that a call changes meanwhile.
const LOOKS: usize = 8;

impl AckTracker {
    /// The number now; without the descriptor, the last one.
    pub(super) fn acknowledged(
        &mut self,
        target: Option<Target>,
        shared: &SharedState,
    ) -> Option<u64> {
        // No question to the kernel for the many streams that only read.
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
                // A pipe tells what waits in it, and not all that went through it.
                let agrees = |written| written == accepted || written == accepted + 1;
                self.agreed = Some(written.is_none_or(agrees));
            }
            if self.agreed == Some(true) {
                // The bytes that are not counted yet are among the last ones: not too many are told.
                let told = accepted.saturating_sub(unacknowledged);
                return self.acknowledged.max(Some(told));
            }
        }
        None
    }
}
