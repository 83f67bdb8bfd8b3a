//! How many of the accepted bytes the peer has acknowledged.
//!
//! Only TCP knows, and it knows of its own bytes. Those are the accepted ones if nothing between the
//! stream and the socket makes others of them, as TLS does. That is not asked but measured: between two
//! calls of the stream the socket must have been given just as many bytes as the stream has accepted
//! since it was wrapped. If it ever was not, nothing is told any more.

use super::{Backlog, Raw, sys};
use crate::fate::Fate;

#[derive(Debug)]
pub(super) struct Delivery {
    /// What the socket had been given before the stream was wrapped; `None` if nothing can be told.
    before: Option<u64>,
    /// The two counts have agreed when there was something to count.
    agreed: bool,
    /// The last number told.
    acknowledged: Option<u64>,
}

/// How often to look again at counts that a call changes meanwhile.
const LOOKS: usize = 8;

impl Delivery {
    pub(super) fn new(raw: Raw) -> Self {
        let before = sys::backlog(raw, false).map(|backlog| backlog.written);
        Self {
            before,
            agreed: false,
            acknowledged: before.map(|_| 0),
        }
    }

    /// The number now; without the descriptor, the last one.
    pub(super) fn acknowledged(&mut self, raw: Option<Raw>, fate: &Fate) -> Option<u64> {
        if let Some(raw) = raw {
            self.acknowledged = self.measure(raw, fate);
        }
        self.acknowledged
    }

    fn measure(&mut self, raw: Raw, fate: &Fate) -> Option<u64> {
        for _ in 0..LOOKS {
            let before = self.before?;
            let accepted = fate.counters.accepted();
            // Within a call the kernel may have taken bytes that the stream has not counted yet.
            let mut between_calls = !fate.is_busy();
            let Backlog {
                written,
                unacknowledged,
            } = sys::backlog(raw, fate.is_shut_down())?;
            let written = written.checked_sub(before)?;
            between_calls &= !fate.is_busy() && accepted == fate.counters.accepted();
            if between_calls {
                if written != accepted {
                    self.before = None;
                    return None;
                }
                self.agreed |= accepted > 0;
            }
            if between_calls || self.agreed {
                return Some(written.saturating_sub(unacknowledged).min(accepted));
            }
        }
        None
    }
}
