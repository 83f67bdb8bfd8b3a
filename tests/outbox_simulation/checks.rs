//! What is known of each message, and what must hold:
//!
//! 1. an important message that was accepted is processed or rejected by the peer, or given back;
//! 2. the peer processes important messages of one key in the order of their numbers;
//! 3. a message that is reported as delivered was processed before, and one reported as rejected was rejected;
//! 4. a message is not sent again on a connection that begins after its outcome was reported;
//! 5. a best-effort message is sent at most once;
//! 6. a message that was never accepted is not sent, and neither is one that was dropped as the newest;
//! 7. messages are dropped only by a policy that drops;
//! 8. the back-off starts anew only after the peer's program has written something, or a connection has lasted, or the
//!    program has asked for a connection; after a connection that has lasted it starts anew;
//! 9. a receipt says that the time of a message is over only if it has a limit, not before it, and within 12 ms of it, or of
//!    the moment at which the message was accepted; a `send` that is polled returns within 12 ms of it too;
//! 10. a message that is reported as expired was not sent before, and is not sent later, not by a later outbox either; of
//!     "unconfirmed", "overflowed" and "rejected" 4 holds as of "delivered": the attempt that is under way may arrive;
//! 11. an outbox that closes its store leaves no message there whose outcome it has reported, unless the store has failed to
//!     remove it; in the end the store is empty;
//! 12. without a store, each message that was accepted is queued, delivered or dropped, as the status says;
//! 13. while there is room and a sender is polled for it, some sender gets it within 20 ms for each one that is not polled;
//! 14. a message that the encoder refuses is not sent, and only such a one is reported so; and only one whose record cannot be
//!     decoded is reported so;
//! 15. a message is set aside after too many attempts only if it was the last one that was encoded on so many connections;
//! 16. after an error that ends the outbox, it does not connect before it is resumed;
//! 17. of a reply without an end the outbox reads no more than its limit.
//!
//! Where the peer's TCP confirms, "processed" in 1 and 3 means that its acknowledgement has come back, and in 2 that the
//! message has reached the peer's host.

use crate::known::Known;
use crate::message::Note;
use crate::peer::Confirms;
use crate::plan::Plan;
use crate::store::Disk;
use crate::summary::Summary;
use hangup::outbox::{
    Delivered, Importance, OutboxError, OutboxStatus, Overflow, UndeliveredError,
    UndeliveredReason, Unsendable, UnsendableReason,
};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Default)]
pub(crate) struct Checks {
    state: Arc<Mutex<State>>,
    /// Which outbox asks. An earlier one may still end when the next one has started.
    outbox: u64,
}

#[derive(Default)]
struct State {
    failure: Option<String>,
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
    capacity: usize,
    dropped: u64,
    expired: u64,
    set_aside: u64,
    by_sinks: u64,
    /// The limit of attempts, and the length of a connection after which the back-off starts anew.
    max_attempts: Option<u32>,
    reset_after: Duration,
    outboxes: u64,
    /// When the connection of an outbox began.
    sessions: BTreeMap<u64, Instant>,
    /// The message that was encoded last on this connection.
    last: Option<u64>,
    /// The outboxes of which a connection has lasted, and whose back-off has not started since.
    must_restart: BTreeSet<u64>,
    given_up: BTreeSet<u64>,
    connections: u64,
    /// The calls of `send` that are polled and not ready.
    sending: u64,
    /// Those that wait in a task and are not polled, and how often one was polled again or dropped.
    distracted: usize,
    minded: u64,
    /// What this outbox was offered: messages, and those that may leave it while the peer may still reply to them.
    offered: u64,
    unanswered: usize,
    /// What this outbox has accepted.
    accepted: u64,
    /// The outbox: those without a store begin with new numbers.
    epoch: u64,
    /// The connections that belong to earlier outboxes are below this one.
    first_connection: u64,
    sent: u64,
}

/// An important message whose number ends so is not wanted by the peer.
const UNWANTED: u64 = 17;

impl Checks {
    /// A check that fails panics, and is noted: the outbox catches the panics of streams and handlers, and the runtime those of
    /// tasks.
    fn state<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let acted = catch_unwind(AssertUnwindSafe(|| act(&mut state)));
        acted.unwrap_or_else(|failure| {
            let text = failure.downcast_ref::<String>().cloned();
            state.failure.get_or_insert(text.unwrap_or_default());
            drop(state);
            resume_unwind(failure)
        })
    }

    /// All checks have held until now.
    pub(crate) fn hold(&self) {
        let failure = self.state(|state| state.failure.clone());
        assert_eq!(failure, None);
    }

    /// The same checks, for a new outbox.
    pub(crate) fn of_new_outbox(&self) -> Self {
        let outbox = self.state(|state| {
            state.outboxes += 1;
            state.outboxes
        });
        Self {
            outbox,
            ..self.clone()
        }
    }

    /// What every outbox of this history is like.
    pub(crate) fn begin(&self, plan: &Plan) {
        self.state(|state| {
            state.overflow = plan.overflow;
            state.capacity = plan.capacity;
            state.by_tcp = plan.confirms == Confirms::Tcp;
            state.max_attempts = plan.max_attempts;
            state.reset_after = plan.reset_after;
        });
    }

    /// A message is offered to the outbox.
    pub(crate) fn offered(&self, note: Note, importance: Importance) {
        self.state(|state| {
            let known = state.messages.entry(note.id).or_default();
            known.offered(importance);
            let leaves = known.ends.is_some() || state.overflow == Overflow::DropOldest;
            state.unanswered += usize::from(leaves);
            state.offered += 1;
        });
    }

    /// A call of `send` waits and is not polled from now on.
    pub(crate) fn distracted(&self) -> Distracted {
        self.state(|state| state.distracted += 1);
        Distracted(self.clone())
    }

    /// How many calls of `send` wait in a task and are not polled, and how many were polled again or dropped.
    pub(crate) fn unpolled(&self) -> (usize, u64) {
        self.state(|state| (state.distracted, state.minded))
    }

    /// A call of `send` is polled from now on until it is ready or dropped.
    pub(crate) fn sending(&self) -> Sending {
        self.state(|state| state.sending += 1);
        Sending(self.clone())
    }

    /// How many calls of `send` are polled, how many messages were offered, and how many of them were accepted.
    pub(crate) fn senders(&self) -> (u64, u64, u64) {
        self.state(|state| (state.sending, state.offered, state.accepted))
    }

    /// An outbox starts, or is asked for a new connection.
    pub(crate) fn starts(&self) {
        self.state(|state| state.starts += 1);
    }

    /// An outbox starts, or goes on after it has given up.
    pub(crate) fn resumes(&self) {
        self.starts();
        self.state(|state| state.given_up.clear());
    }

    /// An error has come after which the outbox must give up.
    pub(crate) fn gives_up(&self) {
        self.state(|state| state.given_up.insert(self.outbox));
    }

    /// The outbox connects.
    pub(crate) fn connects(&self) {
        self.state(|state| assert!(!state.given_up.contains(&self.outbox), "16: it connects"));
    }

    /// A connection is used from now on.
    pub(crate) fn session(&self) {
        self.state(|state| {
            state.sessions.insert(self.outbox, Instant::now());
            state.count_alone();
        });
    }

    /// The encoder gets a message.
    pub(crate) fn encodes(&self, note: Note) {
        self.state(|state| state.last = Some(note.id));
    }

    /// The outbox sets a message aside.
    pub(crate) fn sets_aside(&self, letter: &Unsendable<Note>) {
        let of_record = || Note::read(letter.bytes().unwrap()).unwrap();
        let note = letter.message().copied().unwrap_or_else(of_record);
        self.state(|state| {
            state.set_aside += 1;
            match letter.reason() {
                UnsendableReason::EncodeFailed(_) => assert!(note.is_unencodable(), "14: {note:?}"),
                UnsendableReason::DecodeFailed(_) => assert!(note.is_undecodable(), "14: {note:?}"),
                UnsendableReason::TooManyAttempts(attempts) => {
                    assert_eq!(Some(*attempts), state.max_attempts);
                    let is_last = u32::from(state.last == Some(note.id));
                    let known = state.messages.entry(note.id).or_default();
                    let alone = known.alone + is_last;
                    assert!(alone >= *attempts, "15: {note:?} was alone {alone} times");
                    // Until it is set aside again, after a restart on a store that did not bury it.
                    known.alone = 0;
                    state.last = None;
                }
                reason => panic!("{note:?}: {reason}"),
            }
            state.messages.entry(note.id).or_default().excused = true;
        });
    }

    /// A delay of the back-off is asked for.
    pub(crate) fn delay(&self) {
        self.state(|state| {
            let goes_on = state.must_restart.contains(&self.outbox);
            assert!(!goes_on, "8: the back-off goes on after a long connection");
        });
    }

    /// The back-off starts anew.
    pub(crate) fn backoff(&self) {
        self.state(|state| {
            state.must_restart.remove(&self.outbox);
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

    /// A connection has ended.
    pub(crate) fn ends(&self, connection: u64) {
        self.state(|state| {
            let began = state.sessions.remove(&self.outbox);
            if began.is_some_and(|began| began.elapsed() >= state.reset_after) {
                state.healthy.insert(connection);
                state.must_restart.insert(self.outbox);
            }
        });
    }

    /// The outbox has taken so many bytes of a reply without an end.
    pub(crate) fn endless(&self, written: usize, most: usize) {
        self.state(|_| assert!(written <= most, "17: {written} bytes of a reply"));
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

    /// The peer's program closes, because it has read this message.
    pub(crate) fn poisons(&self, connection: u64, note: Note) {
        self.state(|state| {
            state.sent += 1;
            let known = state.messages.entry(note.id).or_default();
            known.sent(note, connection);
        });
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
            assert!(!note.is_unencodable(), "14: {note:?} is sent");
            let known = state.messages.entry(note.id).or_default();
            known.sent(note, connection);
            // Whether it may have been dropped, which a send that nobody polls does not hear.
            let may_be_dropped = state.overflow == Overflow::DropOldest && known.accepted.is_none();
            let unordered = known.excused || may_be_dropped || known.is_over();
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
            state.accepted += 1;
            let known = state.messages.entry(note.id).or_default();
            known.note = Some(note);
            known.accepted = Some(Instant::now());
        });
    }

    /// A message was accepted of which nobody has a receipt.
    pub(crate) fn accepted_by_sink(&self, note: Note) {
        self.accepted(note);
        self.state(|state| {
            state.by_sinks += 1;
            let drops = matches!(state.overflow, Overflow::DropOldest | Overflow::DropNewest);
            let known = state.messages.entry(note.id).or_default();
            known.excused |= drops;
        });
    }

    /// What must hold of the status of an outbox without a store at any time.
    pub(crate) fn status(&self, status: &OutboxStatus) {
        self.state(|state| {
            let count = status.queued as u64 + status.delivered + status.dropped;
            assert_eq!(count, state.accepted, "12: {status:?}");
        });
    }

    /// `send` has returned, and was polled from `since` on.
    pub(crate) fn returned(&self, note: Note, since: Instant) {
        self.state(|state| {
            let known = state.messages.entry(note.id).or_default();
            known.returned(note.id, since);
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
        self.state(|state| match outcome {
            Ok(_) => {
                let done = state.is_done(note.id);
                assert!(done, "3: {note:?} is reported as delivered");
                let may_be_kept = state.may_be_kept();
                state.told(note).in_time(note, may_be_kept);
            }
            Err(error) => {
                assert_eq!(*error.message(), note);
                state.undelivered(note, error.reason());
            }
        });
    }

    /// The outbox was shut down, and gave these messages back.
    pub(crate) fn given_back(&self, given_back: &[Note], disk: Option<&Disk>) {
        let durable = disk.is_some();
        self.state(|state| {
            for note in given_back {
                let known = state.messages.entry(note.id).or_default();
                // The store has important ones.
                known.excused |= !durable || !note.important;
            }
            if !durable {
                state.check_important();
            }
            state.ended(disk, false);
        });
    }

    /// The program crashed, or left an outbox that had not delivered everything.
    pub(crate) fn crashed(&self, disk: Option<&Disk>) {
        self.state(|state| state.ended(disk, true));
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
            summary.expired = state.expired;
            summary.set_aside = state.set_aside;
            summary.by_sinks = state.by_sinks;
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

    /// Whether the outbox may keep a written message beyond its limit: so many have left it to which the peer may still reply
    /// that it remembers no more of them.
    fn may_be_kept(&self) -> bool {
        self.unanswered >= self.capacity
    }

    fn undelivered(&mut self, note: Note, reason: &UndeliveredReason) {
        match reason {
            UndeliveredReason::Rejected(_) => {
                let done = self.rejected.contains(&note.id);
                assert!(done, "3: {note:?} is reported as rejected");
                self.told(note);
            }
            UndeliveredReason::Expired | UndeliveredReason::Unconfirmed => {
                self.expired += 1;
                let may_be_kept = *reason == UndeliveredReason::Unconfirmed && self.may_be_kept();
                self.told(note).timed_out(note, reason, may_be_kept);
            }
            UndeliveredReason::Overflowed => {
                self.told(note);
                self.overflowed(note);
            }
            UndeliveredReason::EncodeFailed(_) => {
                assert!(note.is_unencodable(), "14: {note:?}: {reason}");
            }
            UndeliveredReason::DecodeFailed(_) => {
                assert!(note.is_undecodable(), "14: {note:?}: {reason}");
                self.told(note);
            }
            UndeliveredReason::TooManyAttempts(_) => {
                let known = self.told(note);
                assert!(known.excused, "15: {note:?} was not set aside");
            }
            UndeliveredReason::GaveUp(_) => {
                // The outbox may go on, and drop it without a receipt.
                let drops = self.overflow == Overflow::DropOldest;
                let known = self.messages.entry(note.id).or_default();
                known.excused |= drops;
            }
            // A new outbox may have it, or `ended` excuses it.
            UndeliveredReason::ShutDown | UndeliveredReason::TaskGone => {}
            _ => panic!("{note:?}: {reason}"),
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

    /// The outcome of a message was reported.
    fn told(&mut self, note: Note) -> &mut Known {
        let known = self.messages.entry(note.id).or_default();
        known.told = Some(self.connections);
        known
    }

    /// A connection has ended, or the next one begins: counts the message that was encoded last.
    fn count_alone(&mut self) {
        if let Some(id) = self.last.take() {
            self.messages.entry(id).or_default().alone += 1;
        }
    }

    fn check_important(&self) {
        for (id, known) in &self.messages {
            if known.must_arrive() {
                let done = self.is_done(*id) || self.rejected.contains(id);
                assert!(done, "1: {known:?} is lost");
            }
        }
    }

    /// An outbox has ended.
    fn ended(&mut self, disk: Option<&Disk>, crashed: bool) {
        self.first_connection = self.connections;
        (self.offered, self.unanswered, self.accepted) = (0, 0, 0);
        let Some(disk) = disk else {
            self.epoch += 1;
            for known in self.messages.values_mut() {
                known.excused |= crashed;
            }
            return;
        };
        let stored = disk.stored();
        for (id, known) in &mut self.messages {
            // The next outbox may drop it, and nobody has its receipt.
            known.excused |= self.overflow == Overflow::DropOldest;
            if let Some(removal_failed) = stored.get(id) {
                let told = known.told.take().is_some();
                known.expired = false;
                assert!(
                    !told || crashed || *removal_failed,
                    "11: {known:?} is stored"
                );
            }
        }
    }
}

/// A call of `send` that waits and is not polled.
pub(crate) struct Distracted(Checks);

impl Drop for Distracted {
    fn drop(&mut self) {
        self.0.state(|state| {
            state.distracted -= 1;
            state.minded += 1;
        });
    }
}

/// A call of `send` that is polled.
pub(crate) struct Sending(Checks);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.state(|state| state.sending -= 1);
    }
}
