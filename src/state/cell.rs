//! The contents of the shared cell: the flags beside the lock, and the values behind it.

use super::event::{DetectedBy, Event};
use super::keyed_list::KeyedList;
use super::machine::State;
use super::status::Status;
use crate::observe::call_foreign;
use crate::observe::lifecycle::Lifecycle;
use std::task::Waker;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The status is `Closed`.
pub(super) const CLOSED: u8 = 1;
/// A poll of the wrapped stream is under way.
pub(super) const BUSY: u8 = 2;
/// The watcher has left an event for the end of the call that is under way.
pub(super) const DEFERRED: u8 = 4;
/// We reset the connection, or are about to.
pub(super) const RESET: u8 = 8;
/// The watcher has detected a FIN. Its report is delayed, so that the stream's own calls can find out what it means.
pub(super) const FIN_DELAYED: u8 = 16;
/// The stream is closed, and its end is not reported to tracing and metrics yet.
pub(super) const REPORT_PENDING: u8 = 32;
/// Only a FIN has closed the stream, and a write waits until the reader has reached that FIN.
pub(super) const FIN_AHEAD: u8 = 64;
/// A protocol is being set up above the stream.
pub(super) const LAYERING: u8 = 128;
/// The flags that a close sets.
pub(super) const ON_CLOSE: u8 = if Lifecycle::RECORDED {
    CLOSED | REPORT_PENDING
} else {
    CLOSED
};

#[derive(Debug)]
pub(super) struct Cell {
    pub(super) state: State,
    /// What detected the event that closed the stream.
    pub(super) detected_by: Option<DetectedBy>,
    /// Our own side closed the stream, so the system does not wake a pending read.
    pub(super) ends_reads: bool,
    /// The task whose write, flush or shutdown is pending.
    pub(super) writer: Option<Waker>,
    /// The tasks that await [`Closed`](crate::Closed).
    pub(super) waiters: KeyedList<Waker>,
    /// Created on first use.
    pub(super) extras: Option<Box<Extras>>,
}

/// The parts that most streams never need.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) watch: Option<watch::Sender<Status>>,
    pub(super) token: Option<CancellationToken>,
    /// Events that the watcher observed while a call is under way, in order.
    pub(super) deferred: Vec<Deferred>,
    /// How many bytes had been read when the writer parked behind a FIN.
    pub(super) parked_at: u64,
    /// The task whose read is pending. The system does not wake it for a close of our own.
    pub(super) reader: Option<Waker>,
    /// Woken once, when the peer has finished and the stream goes on.
    pub(super) half_close: Option<Waker>,
}

impl Cell {
    pub(super) fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }
}

/// An event or a waker that waits for the end of the present call.
#[derive(Debug)]
pub(super) enum Deferred {
    Event(Event, DetectedBy),
    Wake(Waker),
}

/// Wakes each of `wakers`. Wakers are foreign code and may panic.
pub(super) fn wake(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        call_foreign(|| waker.wake());
    }
}
