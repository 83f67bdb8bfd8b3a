//! How many of the accepted bytes the peer has acknowledged.
//!
//! TCP counts the bytes of the socket. They are the bytes of the stream only if no layer in between changes them, as
//! TLS does, and if nothing was sent before. No type shows this, so it is measured: between two calls of the stream,
//! the socket must have been given exactly as many bytes as the stream has accepted (one more for a connection that we
//! opened, because the SYN counts). After one disagreement the count stays unknown.
//!
//! A pipe counts the bytes that wait in it. All others have been read.

use super::sys::{Backlog, Target};
use crate::state::SharedState;

/// Whether the two counts agree, and the last known number.
#[derive(Debug, Default)]
pub(super) struct AckTracker {
    /// The two counts have been compared; whether they agreed.
    agreed: Option<bool>,
    /// The last known number is that of `acknowledged`.
    is_known: bool,
    acknowledged: u64,
}

/// How often the counts are compared again if a call changes them meanwhile.
const LOOKS: usize = 8;

impl AckTracker {
    /// The number now. After the descriptor was detached, or while the system cannot report it, the last known number.
    pub(super) fn acknowledged(
        &mut self,
        target: Option<Target>,
        shared: &SharedState,
    ) -> Option<u64> {
        let told = self.update(
            shared,
            || target?.backlog(shared.is_shut_down()),
            || target?.owed(),
        );
        // The counts were not compared yet. At least this many bytes are acknowledged.
        let undecided = self.agreed.is_none() && target.is_some_and(Target::tells_acknowledged);
        told.or(undecided.then_some(0))
    }

    /// A test reports that so many bytes are acknowledged.
    #[cfg(feature = "test-util")]
    pub(super) fn script(&mut self, acknowledged: u64) {
        self.acknowledged = self.acknowledged.max(acknowledged);
        self.is_known = true;
    }

    /// Whether a number was known at some time.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether the number can never be known.
    pub(super) fn is_unknowable(&self, target: Option<Target>) -> bool {
        let tells = target.is_some_and(Target::tells_acknowledged);
        self.agreed == Some(false) || !self.is_known && !tells
    }

    /// The number of acknowledged bytes now; `None` if it was never known. It never goes down.
    ///
    /// `backlog` asks the kernel for all its counts, and `owed` for the unacknowledged bytes alone.
    fn update(
        &mut self,
        shared: &SharedState,
        backlog: impl Fn() -> Option<Backlog>,
        owed: impl Fn() -> Option<u64>,
    ) -> Option<u64> {
        // Streams that only read cost no system call.
        let accepted = shared.counters.accepted();
        if accepted == 0 {
            return Some(0);
        }
        // Nor does a question after everything was acknowledged, until more is accepted.
        if self.is_known && self.acknowledged == accepted {
            return Some(accepted);
        }
        let told = self.measure(shared, backlog, owed);
        // An acknowledged byte stays acknowledged.
        if let Some(told) = told {
            self.acknowledged = self.acknowledged.max(told);
            self.is_known = true;
        }
        let known = self.acknowledged.min(shared.counters.accepted());
        self.is_known.then_some(known)
    }

    /// Asks the kernel, and checks that its counts and the stream's belong to the same moment. `None` if they do not: then the
    /// last known number counts.
    fn measure(
        &mut self,
        shared: &SharedState,
        backlog: impl Fn() -> Option<Backlog>,
        owed: impl Fn() -> Option<u64>,
    ) -> Option<u64> {
        for _ in 0..LOOKS {
            if self.agreed == Some(false) {
                return None;
            }
            let accepted = shared.counters.accepted();
            // During a call the kernel may have accepted bytes that the stream has not counted yet.
            let mut between_calls = !shared.is_busy();
            let Some(Backlog {
                written,
                unacknowledged,
            }) = backlog()
            else {
                // Acknowledgements arrived between any two of the system calls. If the counts are known to agree,
                // one call is enough: a FIN that is counted as a byte makes the number too small, never too large.
                let agreed = self.agreed == Some(true);
                return agreed.then(|| Some(accepted.saturating_sub(owed()?)))?;
            };
            between_calls &= !shared.is_busy() && accepted == shared.counters.accepted();
            if between_calls {
                // A pipe does not count the bytes that have passed through it.
                let agrees = |written| written == accepted || written == accepted + 1;
                self.agreed = Some(written.is_none_or(agrees));
            }
            if self.agreed == Some(true) {
                // Bytes that the stream has not counted yet are the last ones, so this is never too many.
                return Some(accepted.saturating_sub(unacknowledged));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::HalfClose;

    /// The counters of the kernel and of the stream disagree for a moment: the known number is kept.
    #[test]
    fn a_passing_disagreement_forgets_nothing() {
        let shared = SharedState::new(HalfClose::Close);
        let mut acks = AckTracker::default();
        shared.counters.add_accepted(100);
        let backlog = |unacknowledged| {
            move || {
                Some(Backlog {
                    written: Some(100),
                    unacknowledged,
                })
            }
        };
        assert_eq!(acks.update(&shared, backlog(40), || None), Some(60));
        assert_eq!(acks.update(&shared, || None, || None), Some(60));
        assert_eq!(acks.update(&shared, || None, || Some(30)), Some(70));
        // Bytes bypassed the stream, so its count is unknown from now on. The last known number stays.
        shared.counters.add_accepted(10);
        assert_eq!(acks.update(&shared, backlog(0), || None), Some(70));
        assert_eq!(acks.agreed, Some(false));
    }

    /// Each question takes three system calls, and at the end of a connection there are several.
    #[test]
    fn what_is_acknowledged_is_not_asked_for_again() {
        let shared = SharedState::new(HalfClose::Close);
        let mut acks = AckTracker::default();
        let backlog = |written, unacknowledged| {
            move || {
                Some(Backlog {
                    written: Some(written),
                    unacknowledged,
                })
            }
        };
        shared.counters.add_accepted(100);
        assert_eq!(acks.update(&shared, backlog(100, 1), || None), Some(99));
        assert_eq!(acks.update(&shared, backlog(100, 0), || None), Some(100));
        let unasked = || unreachable!("nothing can have changed");
        assert_eq!(acks.update(&shared, unasked, || unreachable!()), Some(100));
        shared.counters.add_accepted(10);
        assert_eq!(acks.update(&shared, backlog(110, 10), || None), Some(100));
        assert_eq!(acks.update(&shared, backlog(110, 0), || None), Some(110));
    }

    /// Before the two counts have been compared, the number is unknown.
    #[test]
    fn the_first_question_may_come_at_the_wrong_moment() {
        let shared = SharedState::new(HalfClose::Close);
        let mut acks = AckTracker::default();
        shared.counters.add_accepted(100);
        assert_eq!(acks.update(&shared, || None, || Some(0)), None);
        assert_ne!(acks.agreed, Some(false));
    }
}
