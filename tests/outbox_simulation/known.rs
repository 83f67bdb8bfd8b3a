//! What is known of one message, and what its limit of time means.

use crate::message::Note;
use hangup::outbox::{Importance, UndeliveredReason};
use std::time::Duration;
use tokio::time::Instant;

/// A receipt resolves at most so long after the limit of its message: the outbox looks for expired messages every 10 ms, and
/// a timer is up to 1 ms late.
const LATE: Duration = Duration::from_millis(12);

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    pub(crate) note: Option<Note>,
    /// When `send` returned a receipt.
    pub(crate) accepted: Option<Instant>,
    /// When its time is over, if it has a limit.
    pub(crate) ends: Option<Instant>,
    /// It may be missing: it was given back, or its program crashed.
    pub(crate) excused: bool,
    /// It was refused, or its `send` was cancelled.
    pub(crate) refused: bool,
    pub(crate) sent: u32,
    /// How many connections there were when its outcome was reported.
    pub(crate) told: Option<u64>,
    /// It was reported as expired.
    pub(crate) expired: bool,
    /// On how many connections it was the last one that was encoded.
    pub(crate) alone: u32,
}

impl Known {
    /// `send` is called.
    pub(crate) fn offered(&mut self, importance: Importance) {
        let limit = match importance {
            Importance::ImportantFor { max_age, .. } => Some(max_age),
            Importance::BestEffort { ttl } => Some(ttl),
            _ => None,
        };
        self.ends = limit.map(|limit| Instant::now() + limit);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
    }

    /// Whether the peer must have processed it, if the outbox holds it no more.
    pub(crate) fn must_arrive(&self) -> bool {
        let important = self.note.is_some_and(|note| note.important);
        important && self.accepted.is_some() && !self.excused && !self.is_over()
    }

    /// The message is on its way to the peer, on this connection.
    pub(crate) fn sent(&mut self, note: Note, connection: u64) {
        self.sent += 1;
        assert!(!self.refused, "6: {note:?} was refused, and is sent");
        assert!(
            !self.expired,
            "10: {note:?} is sent, and was reported as expired"
        );
        if let Some(told) = self.told {
            assert!(
                connection <= told,
                "4: {note:?} is sent again on {connection}"
            );
        }
        if !note.important {
            assert_eq!(self.sent, 1, "5: {note:?} is sent again");
        }
    }

    /// Its receipt resolves. With `may_be_kept` the outbox may have kept it beyond its limit, because the peer may still reply
    /// to it.
    pub(crate) fn in_time(&self, note: Note, may_be_kept: bool) {
        let Some(ends) = self.ends.filter(|_| !may_be_kept) else {
            return;
        };
        let due = self.accepted.map_or(ends, |accepted| accepted.max(ends));
        let late = Instant::now().saturating_duration_since(due);
        assert!(late <= LATE, "9: {note:?} ends {late:?} too late");
    }

    /// `send` has returned, and was polled from `since` on.
    pub(crate) fn returned(&self, id: u64, since: Instant) {
        let Some(ends) = self.ends else {
            return;
        };
        let late = Instant::now().saturating_duration_since(ends.max(since));
        assert!(late <= LATE, "9: `send` of {id} returns {late:?} too late");
    }

    /// Its receipt says that its time is over.
    pub(crate) fn timed_out(&mut self, note: Note, reason: &UndeliveredReason, may_be_kept: bool) {
        let now = Instant::now();
        let Some(ends) = self.ends else {
            panic!("9: {note:?} has no limit: {reason}");
        };
        let expired = *reason == UndeliveredReason::Expired;
        // A best-effort message ends with its connection, too.
        let by_time = expired || note.important;
        assert!(
            !by_time || now >= ends,
            "9: {note:?} ends {:?} too early",
            ends - now
        );
        self.in_time(note, may_be_kept);
        if expired {
            assert_eq!(self.sent, 0, "10: {note:?} was sent, and expired");
            self.expired = true;
        }
        self.excused = true;
    }
}
