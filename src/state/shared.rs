//! The cell that holds the state of a stream. The stream, its monitors and the watcher share it.
//!
//! # Invariants
//!
//! 1. First reason wins: every change goes through [`State::on`], under the lock.
//! 2. Flag first, then wake: a close stores the state and sets [`CLOSED`], then it releases the lock and wakes the
//!    registered observers. An observer checks the state and registers under the same lock. So it either sees the close
//!    or is in the list that the close wakes.
//!
//! 10. A FIN alone refuses no write before the reader can know of it. [`SharedState::refusal`] decides for a write that
//!     begins, [`SharedState::park_writer`] for one that waits. A waiting writer is woken when a read returns the end of
//!     the input, when anything but a FIN happens, and, because of [`FIN_AHEAD`], at the end of each call that has read
//!     something. Then it asks again.
//!
//! # When the end is reported
//!
//! [`REPORT_PENDING`] is set together with [`CLOSED`]. The side that clears it reports the end to tracing and metrics.
//! That is the side that closed the stream, after the wakers; or, if a call was under way at that time, the end of that
//! call. Only between two calls are the counts exact. As with [`DEFERRED`], one of the two sides sees the other.
//!
//! # Why the watcher waits for a call to end
//!
//! A call that is inside a poll of the wrapped stream may be about to learn more than the watcher sees. It may have read
//! the socket's error, which the kernel reports only once. It may have done the shutdown whose answer is the FIN that the
//! watcher has just seen. So an event from the watcher is deferred until the call has ended and has applied its own event.
//! [`BUSY`] and [`DEFERRED`] are bits of one atomic, so their changes have one order: either the watcher sees the call, or
//! the end of the call sees the watcher's event.

use super::cell::{
    BUSY, CLOSED, Cell, DEFERRED, Deferred, FIN_AHEAD, FIN_DELAYED, ON_CLOSE, REPORT_PENDING,
    RESET, wake,
};
use super::counters::Counters;
use super::event::{DetectedBy, Event};
use super::half_close::HalfClose;
use super::keyed_list::KeyedList;
use super::machine::State;
use super::publish::publish;
use super::status::Status;
use super::sync::{AtomicU8, Mutex, MutexGuard, Ordering};
use crate::errors::CloseReason;
use crate::observe::lifecycle::Lifecycle;
use crate::observe::{End, call_foreign};
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::task::Waker;

/// A [`SharedState`], either alone or inside a [`Socket`](crate::watcher::Socket).
pub(crate) type AnyState = dyn AsRef<SharedState> + Send + Sync + UnwindSafe + RefUnwindSafe;

/// The state of a stream, and everyone who waits for it to change.
///
/// A byte of flags answers the frequent questions ("closed?", "a call under way?") with one atomic load. The
/// lock is taken only to change the state or to register a waker.
#[derive(Debug)]
pub(crate) struct SharedState {
    pub(super) flags: AtomicU8,
    /// Records when the last read was pending: the low bits of the number of bytes read until then, and a 1 bit. A
    /// later read that returns bytes changes that number, so it does not have to change this field.
    pub(super) pending_read: AtomicU32,
    /// See [`set_input_ahead`](Self::set_input_ahead).
    pub(super) input_ahead: AtomicBool,
    cell: Mutex<Cell>,
    pub(crate) counters: Counters,
    pub(crate) lifecycle: Lifecycle,
}

// A panic cannot leave a partial change: every change is made under the lock, and no foreign code runs under it.
impl UnwindSafe for SharedState {}
impl RefUnwindSafe for SharedState {}

impl AsRef<Self> for SharedState {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl SharedState {
    /// The state of an open stream, without observers.
    pub(crate) fn new(half_close: HalfClose) -> Self {
        Self {
            flags: AtomicU8::new(0),
            pending_read: AtomicU32::new(0),
            input_ahead: AtomicBool::new(false),
            cell: Mutex::new(Cell {
                state: State::new(half_close),
                detected_by: None,
                ends_reads: false,
                writer: None,
                waiters: KeyedList::new(),
                extras: None,
            }),
            counters: Counters::default(),
            lifecycle: Lifecycle::new(),
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
        // Fast path: most calls come while the stream is open.
        if !self.is_closed() {
            return None;
        }
        self.lock().state.status().reason().cloned()
    }

    /// Whether our own shutdown has completed.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.lock().state.is_shut_down()
    }

    /// Whether the input has ended in order, whatever has closed the stream after that.
    pub(crate) fn has_peer_finished(&self) -> bool {
        self.lock().state.has_peer_finished()
    }

    /// Records that we are about to reset the connection.
    pub(crate) fn begin_reset(&self) {
        self.flags.fetch_or(RESET, Ordering::AcqRel);
    }

    /// Whether we have reset the connection, or are about to.
    pub(crate) fn is_reset(&self) -> bool {
        self.flags.load(Ordering::Acquire) & RESET != 0
    }

    /// The reason that replaces the errors of calls on a connection that we have reset.
    pub(crate) fn reset_reason(&self) -> Option<CloseReason> {
        if !self.is_reset() {
            return None;
        }
        self.close_reason()
    }

    /// Records a FIN that the stream's own calls have to interpret, and wakes the writer. For a FIN the system wakes
    /// readers, but not writers.
    pub(crate) fn delay_fin(&self) {
        let mut cell = self.lock();
        // Invariant 2: an observer that registers afterwards sees the flag.
        self.flags.fetch_or(FIN_DELAYED, Ordering::Release);
        let writer = cell.writer.take();
        drop(cell);
        wake(writer);
    }

    /// Whether a FIN was detected that is not interpreted yet.
    #[inline]
    pub(crate) fn is_fin_delayed(&self) -> bool {
        self.flags.load(Ordering::Acquire) & (FIN_DELAYED | CLOSED) == FIN_DELAYED
    }

    /// Marks the beginning of a poll of the wrapped stream. The guard marks its end.
    #[inline]
    pub(crate) fn enter(&self) -> Call<'_> {
        let flags = self.flags.fetch_or(BUSY, Ordering::AcqRel);
        debug_assert_eq!(flags & BUSY, 0, "one call at a time");
        Call {
            shared: self,
            closed: self.is_closed(),
        }
    }

    /// Whether a poll of the wrapped stream is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.flags.load(Ordering::Acquire) & BUSY != 0
    }

    /// Applies an event of the stream's own calls.
    pub(crate) fn apply(&self, event: Event, by: DetectedBy) {
        self.settle(self.lock(), [(event, by)]);
    }

    /// Applies an event from outside of the stream's calls: now, or at the end of the present call.
    pub(crate) fn observe(&self, event: Event, by: DetectedBy) {
        self.after_call(Deferred::Event(event, by));
    }

    /// Wakes `waker` when no call is under way: now, or at the end of the current one.
    pub(crate) fn wake_after_call(&self, waker: Waker) {
        self.after_call(Deferred::Wake(waker));
    }

    /// Does it now, or leaves it to the end of the call that is under way. So a call never sees the state change under it.
    fn after_call(&self, deferred: Deferred) {
        let mut cell = self.lock();
        // The end of the call sees the flag, takes the lock after us, and finds the list complete.
        if self.flags.fetch_or(DEFERRED, Ordering::AcqRel) & BUSY == 0 {
            return self.catch_up(cell, Some(deferred));
        }
        let list = &mut cell.extras().deferred;
        // A loop that calls `probe` during one long call would add the same event again and again.
        let again = matches!(
            (list.last(), &deferred),
            (Some(Deferred::Event(last, _)), Deferred::Event(event, _)) if last == event
        );
        if !again {
            list.push(deferred);
        }
    }

    /// Applies the deferred events, and then `last`. The caller makes sure that no call is under way, or that it is
    /// ending.
    fn catch_up(&self, mut cell: MutexGuard<'_, Cell>, last: Option<Deferred>) {
        self.flags.fetch_and(!DEFERRED, Ordering::AcqRel);
        let extras = cell.extras.as_mut();
        let deferred = extras.map_or_else(Vec::new, |extras| mem::take(&mut extras.deferred));
        // Mostly there is one event and nothing else, and then nothing is allocated.
        let last = match last {
            Some(Deferred::Event(event, by)) if deferred.is_empty() => {
                return self.settle(cell, [(event, by)]);
            }
            last => last,
        };
        let (mut events, mut wakers) = (Vec::new(), Vec::new());
        for deferred in deferred.into_iter().chain(last) {
            match deferred {
                Deferred::Event(event, by) => events.push((event, by)),
                Deferred::Wake(waker) => wakers.push(waker),
            }
        }
        self.settle(cell, events);
        wake(wakers);
    }

    /// Applies the events, and tells the observers of a change. It releases the lock before it wakes anybody.
    ///
    /// The order is: the flag by which calls are refused, the blocked writer and reader, the futures, the token, and the
    /// watch channel. An observer that is told early can therefore rely on writes being refused (invariant 2).
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
        let refuses = state.refuses_writes() && !cell.state.refuses_writes();
        cell.state = state;
        if !changed {
            // Invariant 10: the writer no longer has to wait for the reader.
            let writer = cell.writer.take_if(|_| refuses);
            drop(cell);
            return wake(writer);
        }
        let (mut writer, mut reader, mut waiters) = (None, None, KeyedList::new());
        let (mut half_close, mut token, mut watch) = (None, None, None);
        let closed = cell.state.status().is_closed();
        if closed {
            // Invariant 2: the flag, then the wakers.
            self.flags.fetch_or(ON_CLOSE, Ordering::AcqRel);
            writer = cell.writer.take();
            mem::swap(&mut waiters, &mut cell.waiters);
        }
        let ends_reads = cell.ends_reads;
        if let Some(extras) = &mut cell.extras {
            // A half-close begins, or will never begin.
            half_close = extras.half_close.take();
            reader = extras.reader.take_if(|_| closed);
            token = extras.token.clone().filter(|_| closed);
            watch = extras.watch.clone();
        }
        let status = cell.state.status().clone();
        // A waker may run any code, even a poll of this cell, so the lock is released first.
        drop(cell);
        wake(writer);
        wake(reader.filter(|_| ends_reads));
        wake(half_close.filter(|_| !closed));
        wake(waiters.into_values());
        if let Some(token) = token {
            call_foreign(|| token.cancel());
        }
        // Last, and on another thread: a reader of the channel may hold its lock.
        if let Some(watch) = watch {
            publish(watch, status);
        }
        if self.flags.load(Ordering::Acquire) & (REPORT_PENDING | BUSY) == REPORT_PENDING {
            self.report_end();
        }
    }

    /// Reports the close to tracing and metrics, unless another side does.
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

    /// Wakes a writer that waits until the reader has reached a FIN, if the reader has advanced.
    fn reader_advanced(&self) {
        let mut cell = self.lock();
        if cell.extras().parked_at == self.counters.read() {
            return;
        }
        self.flags.fetch_and(!FIN_AHEAD, Ordering::AcqRel);
        let writer = cell.writer.take();
        drop(cell);
        wake(writer);
    }

    /// Applies the events that were deferred to the end of a call.
    #[cold]
    fn call_ended(&self, left: u8) {
        if left & FIN_AHEAD != 0 {
            self.reader_advanced();
        }
        if left & DEFERRED != 0 {
            self.catch_up(self.lock(), None);
        }
        if left & REPORT_PENDING != 0 {
            self.report_end();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Cell> {
        super::sync::lock(&self.cell)
    }
}

/// A poll of the wrapped stream. Dropping it ends the call.
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
        if left & (DEFERRED | REPORT_PENDING | FIN_AHEAD) != 0 {
            self.shared.call_ended(left);
        }
    }
}
