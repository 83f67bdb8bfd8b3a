//! What ties the wrapped stream to its shared: from results of polls to events.

use super::stalled::attend;
use crate::errors::CloseReason;
use crate::policy::{MonitorConfig, ReadAhead, Stall, Step};
use crate::state::{Closed, DetectedBy, Event};
use crate::watcher::{Registration, Socket};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What ties the wrapped stream to its shared.
pub(crate) struct Link {
    pub(crate) registration: Option<Registration>,
    pub(crate) shared: Arc<Socket>,
    /// The stall policy, if there is one.
    pub(super) stall: Option<Box<Stall>>,
}

/// The stall policy of `config`, with the timer of the present runtime.
pub(super) fn stall(config: &MonitorConfig) -> io::Result<Option<Box<Stall>>> {
    let stall = config.stall_policy();
    let stall = stall.map(|(policy, reset)| Stall::new(policy, reset));
    Ok(stall.transpose()?.map(Box::new))
}

impl Link {
    pub(crate) fn socket(&self) -> Option<&Arc<Socket>> {
        Some(&self.shared).filter(|socket| socket.is_watched())
    }

    /// Moves what is unread to the side, if that was asked for: its end may be behind it.
    #[inline]
    pub(super) fn before_write<S>(
        &self,
        ahead: &mut Option<Box<ReadAhead<S>>>,
        io: Pin<&mut S>,
        cx: &Context<'_>,
    ) {
        if let Some(ahead) = ahead {
            let lookahead = ahead.lookahead().filter(|_| self.shared.is_fin_delayed());
            let limit = lookahead.unwrap_or(ahead.limit());
            if limit > 0 {
                let _call = self.shared.enter();
                self.read_ahead(limit, ahead, io, cx);
            }
        }
    }

    /// Moves up to `limit` bytes to the side, and tells of the end if it is behind them.
    fn read_ahead<S>(
        &self,
        limit: usize,
        ahead: &mut ReadAhead<S>,
        io: Pin<&mut S>,
        cx: &Context<'_>,
    ) {
        let ended = match ahead.fill(limit, io, cx) {
            // The reader does not know of it yet (invariant 10).
            Some(Ok(())) => self.end_of_file(Event::Fin),
            Some(Err(error)) => Err(self.read_failed(error)),
            None => return,
        };
        if let Err(error) = ended {
            ahead.fail(error);
        }
    }

    /// One write of `io`, or the refusal of it (invariant 6).
    pub(super) fn write<S>(
        &mut self,
        ahead: &mut Option<Box<ReadAhead<S>>>,
        mut io: Pin<&mut S>,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.before_write(ahead, io.as_mut(), cx);
        let call = self.shared.enter();
        if call.closed
            && let Some(reason) = self.refusal()
        {
            return Poll::Ready(Err(reason.into()));
        }
        let polled = write(io.as_mut(), cx);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.shared.counters.add_accepted(bytes);
            if let Some(stall) = &mut self.stall {
                stall.done(Step::Write);
                self.attend();
            }
            return polled;
        }
        let polled = self.sent(ahead, io, cx, polled);
        drop(call);
        self.judge(Step::Write, cx, polled)
    }

    /// Why a write of the stream is refused now, if it is.
    #[cold]
    pub(super) fn refusal(&self) -> Option<CloseReason> {
        self.shared.refusal(|| self.reads_fin())
    }

    /// Whether somebody is about to read the peer's FIN: a read is pending, or input is unread in front of
    /// the FIN. Input that a write has moved aside does not count: the write looked past it on purpose.
    fn reads_fin(&self) -> bool {
        self.shared.is_read_pending() || self.socket().is_some_and(|socket| socket.has_unread())
    }

    /// Has a task look at what is owed to the peer, if the system tells. Whether it does: then the pending
    /// calls need not be judged.
    fn attend(&self) -> bool {
        let (Some(stall), Some(socket)) = (&self.stall, self.socket()) else {
            return false;
        };
        if !socket.tells_owed_bytes() {
            return false;
        }
        if let Some((policy, runtime, is_attended)) = stall.attend() {
            let closed = Closed::new(self.shared.clone());
            let socket = socket.clone();
            runtime.spawn(attend(socket, closed, policy, stall.reset, is_attended));
        }
        true
    }

    /// What the stall policy says of a write, flush or shutdown that has ended or is pending. Asked
    /// between two calls, when the counters are exact.
    pub(super) fn judge<T>(
        &mut self,
        step: Step,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.attend() {
            return polled;
        }
        let Some(stall) = &mut self.stall else {
            return polled;
        };
        if polled.is_ready() {
            stall.done(step);
            return polled;
        }
        let socket = Some(&self.shared).filter(|socket| socket.is_watched());
        let drained = || match socket {
            Some(socket) => socket.drained(),
            None => self.shared.counters.accepted(),
        };
        let Some(event) = stall.pending(step, cx, drained) else {
            return polled;
        };
        match socket {
            Some(socket) if stall.reset && event == Event::Stalled => {
                socket.abort(event, DetectedBy::StallPolicy);
            }
            _ if event == Event::Stalled => self.shared.apply(event, DetectedBy::StallPolicy),
            _ => self.shared.apply(event, DetectedBy::Us),
        }
        match self.shared.close_reason() {
            Some(reason) => Poll::Ready(Err(reason.into())),
            None => polled,
        }
    }

    /// A read is pending. An end of our own making wakes it, and takes its place.
    pub(super) fn reading(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let reset_wakes = self.socket().is_some_and(|socket| socket.reset_wakes());
        let unheard = self.stall.is_some() || !reset_wakes;
        if unheard && let Err(reason) = self.shared.park_reader(cx.waker()) {
            return Poll::Ready(Err(reason.into()));
        }
        Poll::Pending
    }

    /// A write waits for room. The close wakes it; ready if it will never be let through.
    pub(super) fn waits_to_write(&self, cx: &Context<'_>) -> Poll<CloseReason> {
        match self.shared.park_writer(cx.waker(), || self.reads_fin()) {
            Ok(()) => Poll::Pending,
            Err(reason) => Poll::Ready(reason),
        }
    }

    /// What the result of a write, flush or shutdown means, where a protocol above the socket may say more
    /// of the peer's end.
    pub(super) fn sent<S, T>(
        &self,
        ahead: &mut Option<Box<ReadAhead<S>>>,
        io: Pin<&mut S>,
        cx: &Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(lookahead) = ahead.as_ref().and_then(|ahead| ahead.lookahead()) else {
            return self.wrote(cx, polled);
        };
        let polled = match (polled, self.socket()) {
            // The peer has ended, and how is still to be read, for which the runtime may not be ready yet.
            (Poll::Ready(Err(error)), Some(socket))
                if self.is_peers_end(&error) && socket.report_broken_pipe() =>
            {
                self.wrote(cx, Poll::Pending)
            }
            (polled, _) => self.wrote(cx, polled),
        };
        // A FIN may have been heard before there was a waker to wake.
        if polled.is_pending() {
            if self.shared.is_fin_delayed()
                && let Some(ahead) = ahead
            {
                self.read_ahead(lookahead, ahead, io, cx);
            }
            if let Some(reason) = self.refusal() {
                return Poll::Ready(Err(reason.into()));
            }
        }
        polled
    }

    /// Whether an error of the sending side says no more than that the peer has ended.
    fn is_peers_end(&self, error: &io::Error) -> bool {
        let ours = self.shared.is_shut_down() || self.shared.is_reset();
        is_broken_pipe(error) && !ours && CloseReason::carried_by(error).is_none()
    }

    /// What the result of a write, flush or shutdown means. A pending one is woken by the close.
    fn wrote<T>(&self, cx: &Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(_)) = &polled
            && let Some(reason) = self.shared.reset_reason()
        {
            return Poll::Ready(Err(reason.into()));
        }
        match &polled {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) if is_broken_pipe(error) => {
                // After our own shutdown it is our own doing (invariant 8).
                if self.shared.is_shut_down() {
                    return polled;
                }
                let reason = CloseReason::carried_by(error);
                // The kernel tells an error once, and a look at the socket has taken this one.
                if let Some(taken) = reason.map_or_else(|| self.taken_error(), |_| None) {
                    self.failed(&taken, DetectedBy::Write);
                    return Poll::Ready(Err(taken));
                }
                let event = match (reason, self.socket()) {
                    (Some(reason), _) => Event::Failed(reason.clone()),
                    (None, Some(socket)) => socket.broken_pipe(),
                    (None, None) => Event::HungUp,
                };
                self.shared.apply(event, DetectedBy::Write);
            }
            Poll::Ready(Err(error)) => self.failed(error, DetectedBy::Write),
            Poll::Pending => {
                if let Poll::Ready(reason) = self.waits_to_write(cx) {
                    return Poll::Ready(Err(reason.into()));
                }
            }
        }
        polled
    }

    /// What it means that a protocol above the stream could not be set up.
    pub(crate) fn layering_failed(&self, error: io::Error) -> io::Error {
        if !is_broken_pipe(&error) {
            return self.read_failed(error);
        }
        let cx = &Context::from_waker(Waker::noop());
        match self.wrote::<()>(cx, Poll::Ready(Err(error))) {
            Poll::Ready(Err(error)) => error,
            _ => unreachable!("an error stays one"),
        }
    }

    /// The read found the end of the input, or the place of an error that the watcher has taken.
    ///
    /// `event`: [`Event::EndOfInput`], or [`Event::Fin`] if the reader is not told of it yet.
    pub(super) fn end_of_file(&self, event: Event) -> io::Result<()> {
        if let Some(reason) = self.shared.reset_reason() {
            return Err(reason.into());
        }
        match self.taken_error() {
            Some(error) => {
                self.failed(&error, DetectedBy::Read);
                Err(error)
            }
            None => {
                self.shared.apply(event, DetectedBy::Read);
                Ok(())
            }
        }
    }

    /// The read failed. A layer between us and the socket that misses the end of its input has met the
    /// place of an error that the watcher has taken.
    pub(super) fn read_failed(&self, error: io::Error) -> io::Error {
        if let Some(reason) = self.shared.reset_reason() {
            return reason.into();
        }
        let taken = match error.kind() {
            ErrorKind::UnexpectedEof => self.taken_error(),
            _ => None,
        };
        let error = taken.unwrap_or(error);
        self.failed(&error, DetectedBy::Read);
        error
    }

    fn taken_error(&self) -> Option<io::Error> {
        self.socket().and_then(|socket| socket.take_error())
    }

    /// An error of the wrapped stream, other than a write's broken pipe.
    fn failed(&self, error: &io::Error, by: DetectedBy) {
        let event = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => return,
            _ if tokio::runtime::is_rt_shutdown_err(error) => Event::RuntimeShutdown,
            ErrorKind::ConnectionReset => Event::Reset { after_fin: false },
            _ => Event::Failed(CloseReason::from(error)),
        };
        self.shared.apply(event, by);
    }
}

/// Whether the sending side of the stream is over. Windows says so after our own shutdown by WSAESHUTDOWN, for which
/// std has no kind.
fn is_broken_pipe(error: &io::Error) -> bool {
    const WSAESHUTDOWN: i32 = 10_058;
    error.kind() == ErrorKind::BrokenPipe
        || cfg!(windows) && error.raw_os_error() == Some(WSAESHUTDOWN)
}

impl Drop for Link {
    fn drop(&mut self) {
        // The watcher lets go first: what it still saw of the socket is the peer's doing.
        #[cfg(feature = "metrics")]
        let monitor = crate::monitor::Monitor::new(self.shared.clone());
        // What is left for the peer goes on without us, and not for longer than the policy says.
        if let (Some(stall), Some(socket)) = (&self.stall, self.socket()) {
            socket.bound_orphan(stall.window());
        }
        self.registration = None;
        self.shared.apply(Event::Dropped, DetectedBy::Us);
        #[cfg(feature = "metrics")]
        crate::observe::call_foreign(|| {
            crate::observe::metrics::dropped(monitor.transfer().into());
        });
    }
}
