//! The one cell of truth about a stream, shared by the stream, its monitors and the watcher.
//!
//! # Invariants
//!
//! 1. First reason wins: every change goes through [`State::on`], under the lock.
//! 2. Flag first, then wake: a close stores the state and raises [`CLOSED`] before it takes the lock
//!    off and wakes whoever had registered. An observer registers under the same lock, after it has
//!    looked at the state: it either sees the close or is in the list that the close wakes.
//!
//! # When the end is told
//!
//! [`REPORT_PENDING`] is raised with [`CLOSED`] and goes with the one who tells the account: whoever closed the
//! stream, once the wakers are through, or, if that was within a call or while one was under way, the
//! call's end: only between two calls are the counts exact. As with [`DEFERRED`], one of the two sees the
//! other.
//!
//! # Why the watcher waits for a call to end
//!
//! While the stream is inside a poll of the wrapped stream, that call may be about to learn more than
//! the watcher sees: it may have read the socket's error, which the kernel tells only once, or may
//! have done the shutdown whose answer is the FIN that the watcher has just seen. So the watcher's
//! word is put off until the call has ended and has had its own say. [`BUSY`] and [`DEFERRED`] are bits
//! of one atomic, so their changes have one order: either the watcher sees the call, or the call's
//! end sees the watcher's word.

use super::counters::Counters;
use super::event::{DetectedBy, Event};
use super::half_close::HalfClose;
use super::machine::State;
use super::slab::{Key, Slab};
use super::status::Status;
use super::sync::{AtomicU8, Mutex, MutexGuard, Ordering};
use crate::errors::CloseReason;
use crate::observe::End;
use crate::observe::lifecycle::Lifecycle;
use std::mem;
use std::sync::OnceLock;
use std::task::{Poll, Waker};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The status is `Closed`.
const CLOSED: u8 = 1;
/// A poll of the wrapped stream is under way.
const BUSY: u8 = 2;
/// The watcher has left a word for the end of the call that is under way.
const DEFERRED: u8 = 4;
/// We reset the connection, or are about to.
const RESET: u8 = 8;
/// The watcher has heard a FIN, and leaves it to the stream's own calls for a moment to say what it means.
const FIN_DELAYED: u8 = 16;
/// The stream is closed, and its account has not been told.
const REPORT_PENDING: u8 = 32;
/// What a close raises.
const ON_CLOSE: u8 = if Lifecycle::RECORDED {
    CLOSED | REPORT_PENDING
} else {
    CLOSED
};

#[derive(Debug)]
pub(crate) struct SharedState {
    flags: AtomicU8,
    cell: Mutex<Cell>,
    pub(crate) counters: Counters,
    pub(crate) lifecycle: Lifecycle,
    /// Made for the first subscriber: most streams have none.
    watch: OnceLock<watch::Sender<Status>>,
    /// Made for the first who asks.
    token: OnceLock<CancellationToken>,
}

#[derive(Debug)]
struct Cell {
    state: State,
    /// Who noticed what closed the stream.
    detected_by: Option<DetectedBy>,
    /// What the watcher has to say, in order, while a call is under way.
    deferred: Vec<(Event, DetectedBy)>,
    /// The task whose write, flush or shutdown is pending.
    writer: Option<Waker>,
    /// The task whose read is pending, where only we can tell it of an end that we made.
    reader: Option<Waker>,
    /// The end was of our own making, and no read that waits hears of it from the system.
    ends_reads: bool,
    /// The tasks that await [`Closed`](crate::Closed).
    waiters: Slab<Waker>,
}

impl SharedState {
    pub(crate) fn new(half_close: HalfClose) -> Self {
        Self {
            flags: AtomicU8::new(0),
            cell: Mutex::new(Cell {
                state: State::new(half_close),
                detected_by: None,
                deferred: Vec::new(),
                writer: None,
                reader: None,
                ends_reads: false,
                waiters: Slab::new(),
            }),
            counters: Counters::default(),
            lifecycle: Lifecycle::new(),
            watch: OnceLock::new(),
            token: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.flags.load(Ordering::Acquire) & CLOSED != 0
    }

    pub(crate) fn status(&self) -> Status {
        self.lock().state.status().clone()
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        // Most of those who ask do so while the stream is open.
        if !self.is_closed() {
            return None;
        }
        self.lock().state.status().reason().cloned()
    }

    /// Whether our own shutdown is done.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.lock().state.is_shut_down()
    }

    /// Says that the connection is about to be reset by us.
    pub(crate) fn begin_reset(&self) {
        self.flags.fetch_or(RESET, Ordering::AcqRel);
    }

    /// Whether the connection is reset by us, or is about to be.
    pub(crate) fn is_reset(&self) -> bool {
        self.flags.load(Ordering::Acquire) & RESET != 0
    }

    /// The reason that takes the place of what calls find on a connection that we have reset.
    pub(crate) fn reset_reason(&self) -> Option<CloseReason> {
        if !self.is_reset() {
            return None;
        }
        self.close_reason()
    }

    /// Says that a FIN was heard whose meaning the stream's own calls are to find out, and wakes the one
    /// that cannot know: a reader hears of a FIN from the system, a writer does not.
    pub(crate) fn delay_fin(&self) {
        let mut cell = self.lock();
        // Invariant 2: who registers afterwards sees the flag.
        self.flags.fetch_or(FIN_DELAYED, Ordering::Release);
        let writer = cell.writer.take();
        drop(cell);
        writer.into_iter().for_each(Waker::wake);
    }

    /// Whether a FIN was heard, and it is still open what it means.
    #[inline]
    pub(crate) fn is_fin_delayed(&self) -> bool {
        self.flags.load(Ordering::Acquire) & (FIN_DELAYED | CLOSED) == FIN_DELAYED
    }

    /// Marks the beginning of a poll of the wrapped stream. The guard marks its end.
    #[inline]
    pub(crate) fn enter(&self) -> Call<'_> {
        self.flags.fetch_or(BUSY, Ordering::AcqRel);
        Call {
            shared: self,
            closed: self.is_closed(),
        }
    }

    /// Whether a poll of the wrapped stream is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.flags.load(Ordering::Acquire) & BUSY != 0
    }

    /// Takes in what the stream itself has done or learnt.
    pub(crate) fn apply(&self, event: Event, by: DetectedBy) {
        self.settle(self.lock(), [(event, by)]);
    }

    /// Takes in what was seen from outside of the stream: now, or when the call that is under way
    /// has ended.
    pub(crate) fn observe(&self, event: Event, by: DetectedBy) {
        let mut cell = self.lock();
        // Who probes all the time while a call lasts sees the same thing again and again.
        if cell.deferred.last().is_none_or(|(last, _)| *last != event) {
            cell.deferred.push((event, by));
        }
        if self.flags.fetch_or(DEFERRED, Ordering::AcqRel) & BUSY == 0 {
            self.catch_up(cell);
        }
    }

    /// Takes in what was put off. No call is under way, or it is at its end.
    fn catch_up(&self, mut cell: MutexGuard<'_, Cell>) {
        self.flags.fetch_and(!DEFERRED, Ordering::AcqRel);
        let deferred = mem::take(&mut cell.deferred);
        self.settle(cell, deferred);
    }

    fn settle(
        &self,
        mut cell: MutexGuard<'_, Cell>,
        events: impl IntoIterator<Item = (Event, DetectedBy)>,
    ) {
        let mut state = cell.state.clone();
        for (event, by) in events {
            let open = !state.status().is_closed();
            cell.ends_reads |= open && event.ends_reads();
            state = state.on(event);
            if open && state.status().is_closed() {
                cell.detected_by = Some(by);
            }
        }
        let changed = state.status() != cell.state.status();
        cell.state = state;
        if !changed {
            return;
        }
        let (mut writer, mut reader, mut waiters) = (None, None, Slab::new());
        let closed = cell.state.status().is_closed();
        if closed {
            // Invariant 2: the flag, then the wakers.
            self.flags.fetch_or(ON_CLOSE, Ordering::AcqRel);
            writer = cell.writer.take();
            reader = cell.reader.take().filter(|_| cell.ends_reads);
            mem::swap(&mut waiters, &mut cell.waiters);
        }
        // A waker may run anything, even a poll of this very cell: the lock goes first.
        drop(cell);
        if let Some(watch) = self.watch.get() {
            self.publish(watch);
        }
        if closed && let Some(token) = self.token.get() {
            token.cancel();
        }
        writer
            .into_iter()
            .chain(reader)
            .chain(waiters.into_values())
            .for_each(Waker::wake);
        if self.flags.load(Ordering::Acquire) & (REPORT_PENDING | BUSY) == REPORT_PENDING {
            self.report_end();
        }
    }

    /// Tells the account of the close, if nobody else does.
    fn report_end(&self) {
        if self.flags.fetch_and(!REPORT_PENDING, Ordering::AcqRel) & REPORT_PENDING == 0 {
            return;
        }
        let cell = self.lock();
        let end = cell.state.status().reason().cloned().zip(cell.detected_by);
        drop(cell);
        if let Some((reason, by)) = end {
            self.lifecycle.end(&End {
                reason: &reason,
                reason_name: reason.name(),
                is_local: reason.is_local(),
                detected_by: by.name(),
            });
        }
    }

    /// Takes in what was put off for the end of a call.
    #[cold]
    fn call_ended(&self, left: u8) {
        if left & DEFERRED != 0 {
            self.catch_up(self.lock());
        }
        if left & REPORT_PENDING != 0 {
            self.report_end();
        }
    }

    /// Registers `waker` for the close, in the place that `key` names.
    pub(crate) fn poll_closed(&self, key: &mut Option<Key>, waker: &Waker) -> Poll<CloseReason> {
        let mut cell = self.lock();
        if let Some(reason) = cell.state.status().reason() {
            return Poll::Ready(reason.clone());
        }
        let replaced = match key.and_then(|key| cell.waiters.get_mut(key)) {
            Some(place) if place.will_wake(waker) => None,
            Some(place) => Some(mem::replace(place, waker.clone())),
            None => {
                *key = Some(cell.waiters.insert(waker.clone()));
                None
            }
        };
        // To drop a waker may drop a task, and what that owns may lock this cell.
        drop(cell);
        drop(replaced);
        Poll::Pending
    }

    /// Takes the waker that `key` names out of the list.
    pub(crate) fn forget(&self, key: Key) {
        let waker = self.lock().waiters.remove(key);
        drop(waker);
    }

    /// Registers the task whose write is pending, or says why it will never go on.
    pub(crate) fn park_writer(&self, waker: &Waker) -> Result<(), CloseReason> {
        let mut cell = self.lock();
        if let Some(reason) = cell.state.status().reason() {
            return Err(reason.clone());
        }
        let replaced = match &mut cell.writer {
            Some(writer) if writer.will_wake(waker) => None,
            writer => writer.replace(waker.clone()),
        };
        drop(cell);
        drop(replaced);
        Ok(())
    }

    /// Registers the task whose read is pending, or says why it will never go on. After most ends it
    /// may: what comes is the system's to tell.
    pub(crate) fn park_reader(&self, waker: &Waker) -> Result<(), CloseReason> {
        let mut cell = self.lock();
        if let Some(reason) = cell.state.status().reason() {
            return match cell.ends_reads {
                true => Err(reason.clone()),
                false => Ok(()),
            };
        }
        let replaced = match &mut cell.reader {
            Some(reader) if reader.will_wake(waker) => None,
            reader => reader.replace(waker.clone()),
        };
        drop(cell);
        drop(replaced);
        Ok(())
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Status> {
        let status = self.status();
        let watch = self.watch.get_or_init(|| watch::Sender::new(status));
        // A close between the two lines above found no channel to tell; the state was stored before
        // it looked, so this sees it.
        self.publish(watch);
        watch.subscribe()
    }

    /// A token that the close cancels. A child: to cancel it is its owner's affair.
    pub(crate) fn token(&self) -> CancellationToken {
        let token = self.token.get_or_init(CancellationToken::new);
        // As in `subscribe`.
        if self.is_closed() {
            token.cancel();
        }
        token.child_token()
    }

    /// Puts the status of this moment into the channel. It is read inside of the channel's lock, so
    /// of two who publish at a time the later one puts the later status.
    fn publish(&self, watch: &watch::Sender<Status>) {
        watch.send_if_modified(|published| {
            let status = self.status();
            let modified = *published != status;
            *published = status;
            modified
        });
    }

    fn lock(&self) -> MutexGuard<'_, Cell> {
        super::sync::lock(&self.cell)
    }
}

/// A poll of the wrapped stream that is under way.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    shared: &'a SharedState,
    /// The stream was closed when the call began.
    pub(crate) closed: bool,
}

impl Drop for Call<'_> {
    #[inline]
    fn drop(&mut self) {
        // A subtraction, which unlike `fetch_and` is one instruction even where its result is used. The
        // bit is set: polls take `&mut`, so there is one call at a time, and only its end takes it off.
        let left = self.shared.flags.fetch_sub(BUSY, Ordering::AcqRel);
        if left & (DEFERRED | REPORT_PENDING) != 0 {
            self.shared.call_ended(left);
        }
    }
}
