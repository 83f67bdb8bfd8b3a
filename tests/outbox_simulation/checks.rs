//! What is known of each message, and what must hold:
//!
//! 1. an important message that was accepted is processed or rejected by the peer, or given back;
//! 2. the peer processes important messages of one key in the order of their numbers;
//! 3. a message that is reported as delivered was processed before, and one reported as rejected was rejected;
//! 4. a message is not sent again on a connection that begins after its delivery was reported;
//! 5. a best-effort message is sent at most once;
//! 6. a message that was never accepted is not sent, and neither is one that was dropped as the newest;
//! 7. messages are dropped only by a policy that drops;
//! 8. the back-off starts anew only after the peer's program has written something, or a connection has lasted, or the
//!    program has asked for a connection.
//!
//! Where the peer's TCP confirms, "processed" in 1 and 3 means that its acknowledgement has come back, and in 2 that the
//! message has reached the peer's host.

use crate::message::Note;
use crate::summary::Summary;
use hangup::outbox::{Delivered, OutboxError, Overflow, UndeliveredError, UndeliveredReason};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
pub(crate) struct Checks(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    messages: BTreeMap<u64, Known>,
    processed: BTreeSet<u64>,
    rejected: BTreeSet<u64>,
    /// The peer's TCP confirms.
    by_tcp: bool,
    acknowledged: BTreeSet<u64>,
    /// How often the back-off has started.
    backoffs: u64,
    /// The outboxes that were started, and the calls of `reconnect_now`.
    starts: u64,
    /// The connections that showed that the peer's program lives, and those that lasted.
    healthy: BTreeSet<u64>,
    /// The highest number of an important message that the peer has processed, of each outbox and key.
    highest: BTreeMap<(u64, u8), u64>,
    overflow: Overflow,
    dropped: u64,
    connections: u64,
    /// The outbox: those without a store begin with new numbers.
    epoch: u64,
    /// The connections that belong to earlier outboxes are below this one.
    first_connection: u64,
    sent: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    note: Option<Note>,
    accepted: bool,
    /// It may be missing: it was given back, or its program crashed.
    excused: bool,
    /// It was refused, or its `send` was cancelled.
    refused: bool,
    sent: u32,
    /// How many connections there were when its delivery was reported.
    delivered: Option<u64>,
}

/// An important message whose number ends so is not wanted by the peer.
const UNWANTED: u64 = 17;

/// After a connection of this length the back-off starts anew: the outbox's default.
const RESET_AFTER: Duration = Duration::from_secs(10);

impl Checks {
    fn state<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.lock().unwrap())
    }

    /// What every outbox of this history is like.
    pub(crate) fn begin(&self, overflow: Overflow, by_tcp: bool) {
        self.state(|state| {
            state.overflow = overflow;
            state.by_tcp = by_tcp;
        });
    }

    /// An outbox starts, or is asked for a new connection.
    pub(crate) fn starts(&self) {
        self.state(|state| state.starts += 1);
    }

    /// The back-off starts anew.
    pub(crate) fn backoff(&self) {
        self.state(|state| {
            state.backoffs += 1;
            let allowed = state.starts + state.healthy.len() as u64;
            assert!(
                state.backoffs <= allowed,
                "8: the back-off has started {} times of {allowed}",
                state.backoffs
            );
        });
    }

    /// The peer's program writes something.
    pub(crate) fn spoke(&self, connection: u64) {
        self.state(|state| state.healthy.insert(connection));
    }

    /// A connection has ended after this time.
    pub(crate) fn lasted(&self, connection: u64, time: Duration) {
        if time >= RESET_AFTER {
            self.spoke(connection);
        }
    }

    /// The acknowledgement of these messages has come back.
    pub(crate) fn acknowledged(&self, ids: &[u64]) {
        self.state(|state| state.acknowledged.extend(ids));
    }

    pub(crate) fn connection(&self) -> u64 {
        self.state(|state| {
            state.connections += 1;
            state.connections
        })
    }

    /// The peer has read a message. Whether it wants it.
    pub(crate) fn process(
        &self,
        connection: u64,
        number: u64,
        note: Note,
        may_reject: bool,
    ) -> bool {
        self.state(|state| {
            state.sent += 1;
            let rejected = may_reject && note.id % 20 == UNWANTED;
            let known = state.messages.entry(note.id).or_default();
            known.sent += 1;
            assert!(!known.refused, "6: {note:?} was refused, and is sent");
            if let Some(before) = known.delivered {
                assert!(
                    connection <= before,
                    "4: {note:?} is sent again on {connection}"
                );
            }
            if !note.important {
                assert_eq!(known.sent, 1, "5: {note:?} is sent again");
            }
            // Whether it may have been dropped, which a send that nobody polls does not hear.
            let may_be_dropped = state.overflow == Overflow::DropOldest && !known.accepted;
            let unordered = known.excused || may_be_dropped;
            let new = match rejected {
                true => state.rejected.insert(note.id),
                false => state.processed.insert(note.id),
            };
            // What an earlier outbox had on its way comes when it comes, and so does what was dropped: from the wire,
            // or from a store that had not removed it before a crash.
            if new && note.important && !unordered && connection > state.first_connection {
                let highest = state.highest.entry((state.epoch, note.key)).or_default();
                assert!(
                    number >= *highest,
                    "2: {note:?}, {number}, comes after {highest}"
                );
                *highest = number;
            }
            !rejected
        })
    }

    pub(crate) fn accepted(&self, note: Note) {
        self.state(|state| {
            let known = state.messages.entry(note.id).or_default();
            known.note = Some(note);
            known.accepted = true;
        });
    }

    /// `send` failed.
    pub(crate) fn refused(&self, error: &OutboxError<Note>) {
        self.state(|state| {
            let known = state.messages.entry(error.message().id).or_default();
            known.refused = true;
            assert_eq!(
                known.sent,
                0,
                "6: {:?} was sent, and is refused",
                error.message()
            );
        });
    }

    /// `send` was cancelled.
    pub(crate) fn cancelled(&self, note: Note, durable: bool) {
        self.state(|state| {
            let known = state.messages.entry(note.id).or_default();
            // A durable outbox may have accepted it.
            known.refused = !durable;
            assert!(
                durable || known.sent == 0,
                "6: {note:?} was cancelled, and is sent"
            );
        });
    }

    pub(crate) fn outcome(&self, note: Note, outcome: Result<Delivered, UndeliveredError<Note>>) {
        self.state(|state| {
            match outcome {
                Ok(_) => {
                    let done = state.is_done(note.id);
                    assert!(done, "3: {note:?} is reported as delivered");
                    let connections = state.connections;
                    let known = state.messages.entry(note.id).or_default();
                    known.delivered = Some(connections);
                }
                Err(error) => {
                    assert_eq!(*error.message(), note);
                    match error.reason() {
                        UndeliveredReason::Rejected(_) => {
                            let done = state.rejected.contains(&note.id);
                            assert!(done, "3: {note:?} is reported as rejected");
                        }
                        UndeliveredReason::Expired | UndeliveredReason::Unconfirmed => {
                            assert!(!note.important, "1: {note:?}: {error}");
                        }
                        UndeliveredReason::Overflowed => state.overflowed(note),
                        // A new outbox may have it, or `ended` excuses it.
                        UndeliveredReason::ShutDown | UndeliveredReason::TaskGone => {}
                        _ => panic!("{note:?}: {error}"),
                    }
                }
            }
        });
    }

    /// The outbox was shut down, and gave these messages back.
    pub(crate) fn given_back(&self, given_back: &[Note], durable: bool) {
        self.state(|state| {
            for note in given_back {
                let known = state.messages.entry(note.id).or_default();
                // The store has important ones.
                known.excused |= !durable || !note.important;
            }
            if !durable {
                state.check_important();
            }
            state.ended(durable, false);
        });
    }

    /// The program crashed.
    pub(crate) fn crashed(&self, durable: bool) {
        self.state(|state| state.ended(durable, true));
    }

    /// Everything must be done now.
    pub(crate) fn finish(&self) {
        self.state(|state| state.check_important());
    }

    /// The figures that are known here.
    pub(crate) fn count(&self, summary: &mut Summary) {
        self.state(|state| {
            summary.processed = state.processed.len() as u64;
            summary.acknowledged = state.acknowledged.len() as u64;
            summary.lines = state.sent;
            summary.connections = state.connections;
            summary.dropped = state.dropped;
        });
    }
}

impl State {
    /// Whether the outbox may forget a message.
    fn is_done(&self, id: u64) -> bool {
        match self.by_tcp {
            true => self.acknowledged.contains(&id),
            false => self.processed.contains(&id),
        }
    }

    /// A message was dropped for want of room.
    fn overflowed(&mut self, note: Note) {
        self.dropped += 1;
        let drops_oldest = self.overflow == Overflow::DropOldest;
        let drops = drops_oldest || self.overflow == Overflow::DropNewest;
        assert!(drops, "7: {note:?} is dropped");
        let known = self.messages.entry(note.id).or_default();
        known.excused = true;
        if !drops_oldest {
            assert_eq!(known.sent, 0, "6: {note:?} was sent, and is dropped");
            known.refused = true;
        }
    }

    fn check_important(&self) {
        for (id, known) in &self.messages {
            let note = known
                .note
                .filter(|note| note.important && known.accepted && !known.excused);
            if note.is_some() {
                let done = self.is_done(*id) || self.rejected.contains(id);
                assert!(done, "1: {known:?} is lost");
            }
        }
    }

    /// An outbox has ended.
    fn ended(&mut self, durable: bool, crashed: bool) {
        self.first_connection = self.connections;
        if !durable {
            self.epoch += 1;
        }
        for known in self.messages.values_mut() {
            if crashed {
                // What was confirmed may come back with the store, and without one all is lost.
                known.delivered = None;
                known.excused |= !durable;
            }
            if durable {
                // The store may have removed it too late.
                known.delivered = None;
                // The next outbox may drop it, and nobody has its receipt.
                known.excused |= self.overflow == Overflow::DropOldest;
            }
        }
    }
}
