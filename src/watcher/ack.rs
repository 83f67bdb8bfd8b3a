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

/// What the stream had counted when a question to the kernel began.
#[derive(Debug)]
pub(super) struct Moment {
    accepted: u64,
    /// The stream has counted all bytes that the kernel has accepted.
    is_exact: bool,
    /// A call is under way that gives the kernel nothing.
    is_in_read: bool,
}

impl Moment {
    /// Before a question that may come at any time. During a call the kernel may have accepted bytes that the stream has not
    /// counted yet.
    pub(super) fn between_calls(shared: &SharedState) -> Self {
        Self {
            accepted: shared.counters.accepted(),
            is_exact: !shared.is_busy(),
            is_in_read: false,
        }
    }

    /// Before a question of a read. No other call is under way meanwhile.
    pub(super) fn in_read(shared: &SharedState) -> Self {
        Self {
            accepted: shared.counters.accepted(),
            is_exact: true,
            is_in_read: true,
        }
    }

    /// After the answer: whether no call has changed the counts since the moment.
    fn still_holds(&self, shared: &SharedState) -> bool {
        // In this order: a call that has ended by the first load has its bytes counted by the second.
        let is_busy = shared.is_busy() && !self.is_in_read;
        self.is_exact && !is_busy && self.accepted == shared.counters.accepted()
    }
}

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

    /// Takes a number from the answer to another question, which began at `moment`.
    pub(super) fn note(&mut self, moment: &Moment, backlog: Backlog, shared: &SharedState) {
        if moment.accepted > 0
            && self.agreed != Some(false)
            && let Some(told) = self.compare(moment, backlog, shared)
        {
            self.acknowledged = self.acknowledged.max(told);
            self.is_known = true;
        }
    }

    /// The acknowledged bytes by `backlog`, if the two counts agree, or have agreed.
    fn compare(&mut self, moment: &Moment, backlog: Backlog, shared: &SharedState) -> Option<u64> {
        let accepted = moment.accepted;
        if moment.still_holds(shared) {
            // A pipe does not count the bytes that have passed through it.
            let agrees = |written| written == accepted || written == accepted + 1;
            self.agreed = Some(backlog.written.is_none_or(agrees));
        }
        // Bytes that the stream has not counted yet are the last ones, so this is never too many.
        let told = accepted.saturating_sub(backlog.unacknowledged);
        (self.agreed == Some(true)).then_some(told)
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
            let moment = Moment::between_calls(shared);
            let accepted = moment.accepted;
            let Some(backlog) = backlog() else {
                // Acknowledgements arrived between any two of the system calls. If the counts are known to agree,
                // one call is enough: a FIN that is counted as a byte makes the number too small, never too large.
                let agreed = self.agreed == Some(true);
                return agreed.then(|| Some(accepted.saturating_sub(owed()?)))?;
            };
            let told = self.compare(&moment, backlog, shared);
            if told.is_some() {
                return told;
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

    /// Each question takes up to three system calls, and at the end of a connection there are several.
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

    /// The answer to another question counts as one to its own.
    #[test]
    fn a_number_in_passing_saves_a_question() {
        let shared = SharedState::new(HalfClose::Close);
        let mut acks = AckTracker::default();
        let note = |acks: &mut AckTracker, moment: Moment, written| {
            let backlog = Backlog {
                written: Some(written),
                unacknowledged: 0,
            };
            acks.note(&moment, backlog, &shared);
        };
        // Nothing is compared before anything was accepted.
        note(&mut acks, Moment::between_calls(&shared), 7);
        assert_eq!(acks.agreed, None);
        shared.counters.add_accepted(100);
        // A call is under way, and may have given the kernel more than the stream has counted.
        let call = shared.enter();
        note(&mut acks, Moment::between_calls(&shared), 150);
        assert_eq!(acks.agreed, None);
        // The call is a read, which gives the kernel nothing.
        note(&mut acks, Moment::in_read(&shared), 100);
        drop(call);
        let unasked = || unreachable!("it is known");
        assert_eq!(acks.update(&shared, unasked, || unreachable!()), Some(100));
        // The stream has counted more since the question began.
        let before = Moment::between_calls(&shared);
        shared.counters.add_accepted(10);
        note(&mut acks, before, 110);
        assert_eq!(acks.agreed, Some(true));
        assert_eq!(acks.acknowledged, 100);
        // Bytes bypassed the stream.
        note(&mut acks, Moment::between_calls(&shared), 120);
        assert_eq!(acks.agreed, Some(false));
        note(&mut acks, Moment::between_calls(&shared), 110);
        assert_eq!(acks.agreed, Some(false));
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
