//! One stream, as its handles and the watcher share it: its state, its descriptor while that is open, and the kernel's
//! answers about it.

mod sent_bytes;

use super::ack::{AckTracker, Moment};
use super::descriptor::Descriptor;
use super::sys::{Known, Raw, Target};
use crate::policy::{DelayStep, FinDelay};
use crate::state::sync::lock;
use crate::state::{Closed, DetectedBy, Event, HalfClose, SharedState, Status};
use rustix::fd::BorrowedFd;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Wake, Waker};

/// One stream in one allocation: its state, and its socket, if it has one that is watched.
///
/// A separate shared state would cost each stream one more allocation, counter and pointer.
#[derive(Debug)]
pub(crate) struct Socket {
    state: SharedState,
    /// Whether there is a descriptor that can be watched.
    is_watched: bool,
    /// Whether the peer may vanish without a FIN or a reset, as a peer on another machine may.
    can_vanish: bool,
    /// Whether our own reset wakes reads that wait for the socket.
    reset_wakes: bool,
    tells_owed_bytes: bool,
    /// Another library owns the descriptor, and its calls are not counted.
    is_borrowed: bool,
    descriptor: Mutex<Descriptor>,
}

/// Resets the connection when it is woken. Used as a waker for the end of a call.
struct Reset(Arc<Socket>);

impl Wake for Reset {
    fn wake(self: Arc<Self>) {
        let Self(socket) = &*self;
        lock(&socket.descriptor).reset(&socket.state);
    }
}

/// Ends a FIN delay when it is dropped: its time is over, or the runtime whose timer it uses has shut down. That need not be
/// the runtime that watches the stream.
struct DelayEnd {
    socket: Weak<Socket>,
    by: DetectedBy,
}

impl Drop for DelayEnd {
    fn drop(&mut self) {
        let Some(socket) = self.socket.upgrade() else {
            return;
        };
        if let Some(delay) = &mut lock(&socket.descriptor).fin_delay {
            delay.end();
        }
        socket.examine(self.by);
    }
}

impl Socket {
    /// Determines the kind of `fd`, as far as it is not `known`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) for a descriptor that never reports the end of its peer.
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        known: Known,
        half_close: HalfClose,
        fin_delay: Option<FinDelay>,
    ) -> io::Result<Self> {
        let target = Target::new(fd, known)?;
        Ok(Self::with_target(
            Some(target),
            false,
            half_close,
            fin_delay,
        ))
    }

    /// A stream that detects its end only by its own calls.
    pub(crate) fn unwatched(half_close: HalfClose) -> Self {
        Self::with_target(None, false, half_close, None)
    }

    /// The state of a stream on `target`; without one, of a stream that nobody watches.
    ///
    /// `is_borrowed`: another library owns the descriptor, and lends it. What the kind of descriptor can tell is asked here
    /// once, because calls ask for it without the lock.
    pub(super) fn with_target(
        target: Option<Target>,
        is_borrowed: bool,
        half_close: HalfClose,
        fin_delay: Option<FinDelay>,
    ) -> Self {
        Self {
            state: SharedState::new(half_close),
            is_watched: target.is_some(),
            can_vanish: target.is_some_and(Target::can_vanish),
            reset_wakes: target.is_some_and(Target::reset_wakes),
            tells_owed_bytes: target.is_some_and(Target::tells_owed_bytes),
            is_borrowed,
            descriptor: Mutex::new(Descriptor {
                target,
                error: None,
                verdict: None,
                read_failed: false,
                acks: AckTracker::default(),
                reset: false,
                fin_delay: fin_delay.map(Box::new),
            }),
        }
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched
    }

    pub(crate) fn can_vanish(&self) -> bool {
        self.can_vanish
    }

    pub(crate) fn reset_wakes(&self) -> bool {
        self.reset_wakes
    }

    /// Asks the kernel for the state of the socket, and reports any event.
    pub(crate) fn examine(self: &Arc<Self>, by: DetectedBy) {
        // No event changes it any more. An error that stays in the socket is for the next call of the stream.
        if self.is_settled() {
            return;
        }
        let mut descriptor = lock(&self.descriptor);
        if let Some(event) = descriptor.look(&self.state) {
            self.report(descriptor, event, by);
        }
    }

    /// Records an EPIPE from a write, and leaves a layered protocol time to refine it; `false` if already
    /// detached, or if the pipe was broken by ourselves.
    pub(crate) fn report_broken_pipe(self: &Arc<Self>) -> bool {
        let mut descriptor = lock(&self.descriptor);
        let Some(target) = descriptor.target else {
            return false;
        };
        descriptor.explain_end(&Moment::between_calls(&self.state), &self.state);
        let verdict = descriptor.verdict.take();
        let event = verdict.unwrap_or_else(|| target.broken_pipe());
        if event == Event::ShutDown {
            return false;
        }
        descriptor.verdict = Some(event.clone());
        self.report(descriptor, event, DetectedBy::Write);
        true
    }

    /// Reports `event`, now or after the FIN delay.
    fn report(
        self: &Arc<Self>,
        mut descriptor: MutexGuard<'_, Descriptor>,
        event: Event,
        by: DetectedBy,
    ) {
        let wait = match self.status() {
            // What the FIN means is known.
            Status::PeerFinished => DelayStep::Over,
            // Both directions have ended.
            _ if event == Event::HungUp && self.is_shut_down() => DelayStep::Over,
            _ => descriptor.delay_step(&event),
        };
        // Outside of the lock: a waker may run any code, even a probe of this socket.
        drop(descriptor);
        match wait {
            DelayStep::Over => self.observe(event, by),
            DelayStep::Lasts => {}
            DelayStep::Begins(within, runtime) => {
                self.delay_fin();
                let end = DelayEnd {
                    socket: Arc::downgrade(self),
                    by,
                };
                let closed = Closed::new(self.clone());
                runtime.spawn(async move {
                    let _end = end;
                    let _ = tokio::time::timeout(within, closed).await;
                });
            }
        }
    }

    /// Delays a FIN by the default time unless the configuration sets another. Returns whether a FIN is
    /// delayed at all.
    pub(crate) fn delay_fin_by_default(&self) -> io::Result<bool> {
        let mut descriptor = lock(&self.descriptor);
        let delay = match descriptor.fin_delay.take() {
            Some(delay) => delay,
            None => Box::new(FinDelay::new(FinDelay::FOR_LAYERS)?),
        };
        Ok(descriptor.fin_delay.insert(delay).is_on())
    }

    /// The error that [`examine`](Self::examine) took from the socket, if a read would have returned it. It is
    /// returned once.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        let code = lock(&self.descriptor).error.take()?;
        let error = io::Error::from_raw_os_error(code.get());
        // A broken pipe is a reset after a FIN, and after a FIN reads return EOF.
        (error.kind() != ErrorKind::BrokenPipe).then_some(error)
    }

    /// A read has returned the socket's error. Whoever examined the socket meanwhile, or does so later, may have concluded
    /// from the missing error that the next read has to return one.
    pub(crate) fn read_failed(&self) {
        let mut descriptor = lock(&self.descriptor);
        descriptor.read_failed = true;
        descriptor.error = None;
    }

    /// Stores the error behind an end that a read or a write could not explain, if another call was given it, such as a
    /// sendfile(2) that has sent a part. [`take_error`](Self::take_error) returns it then.
    pub(crate) fn explain_end(&self) {
        let moment = Moment::between_calls(&self.state);
        lock(&self.descriptor).explain_end(&moment, &self.state);
    }

    /// As [`explain_end`](Self::explain_end), for an EOF, in the read that has found it. Returns whether the peer is known to
    /// have sent no FIN and no reset.
    pub(crate) fn explain_end_of_input(&self) -> bool {
        let moment = Moment::in_read(&self.state);
        lock(&self.descriptor).explain_end(&moment, &self.state)
    }

    /// The meaning of an EPIPE from a write. If `examine` has taken the socket's error, the kernel returns EPIPE
    /// instead of that error, and the stored meaning counts.
    pub(crate) fn broken_pipe(&self) -> Event {
        let descriptor = lock(&self.descriptor);
        match (&descriptor.verdict, descriptor.target) {
            (Some(verdict), _) => verdict.clone(),
            (None, Some(target)) => target.broken_pipe(),
            (None, None) => Event::HungUp,
        }
    }

    /// Closes the stream with `event` and resets its connection: now, or at the end of the present call. The bytes of
    /// that call are counted first, because the system forgets the acknowledged bytes at a reset.
    pub(crate) fn abort(self: &Arc<Self>, event: Event, by: DetectedBy) {
        // The order matters: a task that learns of the close may drop the stream, and the drop then has to reset it.
        self.begin_reset();
        self.apply(event, by);
        self.wake_after_call(Waker::from(Arc::new(Reset(self.clone()))));
    }

    /// Shuts both directions down, which wakes readers and writers.
    pub(crate) fn shut_down(&self) {
        if let Some(target) = lock(&self.descriptor).target {
            target.shut_down();
        }
    }

    /// Called before code outside of the stream can close the descriptor, or exchange the file that its number names.
    pub(crate) fn share_descriptor(&self) {
        if let Some(target) = &mut lock(&self.descriptor).target {
            target.share();
        }
    }

    /// Whether the number of the descriptor is `raw`, and still names its file.
    pub(super) fn has_descriptor(&self, raw: Raw) -> bool {
        let target = lock(&self.descriptor).target;
        target.is_some_and(|target| target.raw() == raw && target.is_same())
    }

    /// Detaches the descriptor, and passes it to `last` for a last use. Nothing uses it afterwards.
    pub(super) fn detach(&self, last: impl FnOnce(Target)) {
        let mut descriptor = lock(&self.descriptor);
        // The count stays available after the drop.
        descriptor.acknowledged(&self.state);
        if self.is_reset() {
            descriptor.reset(&self.state);
        }
        if let Some(target) = descriptor.target.take() {
            last(target);
        }
    }
}

/// Every handle asks for the state.
impl Deref for Socket {
    type Target = SharedState;

    #[inline]
    fn deref(&self) -> &SharedState {
        &self.state
    }
}

impl AsRef<SharedState> for Socket {
    fn as_ref(&self) -> &SharedState {
        &self.state
    }
}

// As for `SharedState`: every change is made under a lock, and no foreign code runs under it.
impl UnwindSafe for Socket {}
impl RefUnwindSafe for Socket {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::errors::CloseReason;
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::UnixStream;

    /// After the detach the number may name another file, so the kernel is not asked about it (invariant 3).
    #[test]
    fn a_detached_socket_is_not_asked_about() {
        let (ours, peer) = UnixStream::pair().unwrap();
        let new = || {
            Arc::new(Socket::new(ours.as_fd(), Known::default(), HalfClose::Close, None).unwrap())
        };
        let (socket, another) = (new(), new());
        drop(peer);
        let mut last = None;
        socket.detach(|target| last = Some(target.raw()));
        assert_eq!(last, Some(ours.as_raw_fd()));
        socket.detach(|_| unreachable!("it was detached before"));
        socket.examine(DetectedBy::Probe);
        assert_eq!(socket.status(), Status::Open);
        // There was something to detect.
        another.examine(DetectedBy::Probe);
        assert_eq!(another.close_reason(), Some(CloseReason::PeerClosed));
    }
}
