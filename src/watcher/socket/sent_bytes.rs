//! What the kernel knows of the bytes that were sent: how many are acknowledged, and how many are owed to the peer.

use super::Socket;
use crate::policy::Reading;
use crate::state::sync::lock;
use crate::watcher::sys::Target;
use std::time::Duration;

impl Socket {
    /// How many of the accepted bytes the peer has acknowledged; after the stream was dropped, the number at that
    /// time. Of a stream without a descriptor only a test knows it.
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        if self.is_borrowed {
            return None;
        }
        let mut descriptor = lock(&self.descriptor);
        let knows = self.is_watched || descriptor.acks.is_known();
        knows.then(|| descriptor.acknowledged(&self.state))?
    }

    /// A test reports that so many of the accepted bytes are acknowledged.
    #[cfg(feature = "test-util")]
    pub(crate) fn acknowledge(&self, bytes: u64) {
        lock(&self.descriptor).acks.script(bytes);
    }

    /// Whether the number of acknowledged bytes can never be known.
    pub(crate) fn is_acknowledgement_unknowable(&self) -> bool {
        let descriptor = lock(&self.descriptor);
        descriptor.acks.is_unknowable(descriptor.target)
    }

    /// A number that grows with each byte that leaves the system's memory towards the peer. If the system does not
    /// report this, it grows with each accepted byte.
    pub(crate) fn drained(&self) -> u64 {
        let accepted = self.counters.accepted();
        match lock(&self.descriptor).target {
            Some(target) => target.drained(accepted),
            None => accepted,
        }
    }

    /// What the peer has taken, for a stall policy that judges pending calls.
    pub(crate) fn reading(&self) -> Reading {
        let accepted = self.counters.accepted();
        match lock(&self.descriptor).target {
            Some(target) => target.reading(accepted),
            None => accepted.into(),
        }
    }

    /// How many bytes the system holds for the peer; `None` if the system does not report it, and after the descriptor
    /// was detached.
    pub(crate) fn owed(&self) -> Option<u64> {
        lock(&self.descriptor).target?.owed()
    }

    /// Whether the system goes on delivering what it holds for the peer, after the stream has closed.
    pub(crate) fn delivers(&self) -> bool {
        lock(&self.descriptor).target.is_some_and(Target::delivers)
    }

    /// As [`owed`](Self::owed), but only if the number counts bytes of the stream.
    pub(crate) fn owed_bytes(&self) -> Option<u64> {
        let target = lock(&self.descriptor).target?;
        target.owed().filter(|_| target.tells_owed_bytes())
    }

    /// Whether [`owed_bytes`](Self::owed_bytes) returns a number while the stream has the descriptor.
    pub(crate) fn tells_owed_bytes(&self) -> bool {
        self.tells_owed_bytes
    }

    /// Makes the system discard what it holds for the peer after `within` without an acknowledgement.
    pub(crate) fn bound_orphan(&self, within: Duration) {
        if let Some(target) = lock(&self.descriptor).target {
            target.bound_orphan(within);
        }
    }

    /// Makes the system reset the connection when data stays unacknowledged for `within`, where it can.
    #[cfg(windows)]
    pub(crate) fn limit_retransmission(&self, within: Duration) {
        if let Some(target) = lock(&self.descriptor).target {
            target.limit_retransmission(within);
        }
    }

    /// Whether the system holds unread input; `false` if it does not report this.
    pub(crate) fn has_unread(&self) -> bool {
        lock(&self.descriptor)
            .target
            .is_some_and(Target::has_unread)
    }
}
