//! Connects the wrapped stream with its shared state: turns the results of polls into events.

use super::stalled::attend;
use crate::errors::CloseReason;
use crate::policy::{MonitorConfig, ReadAhead, Stall, Step, waits};
use crate::state::{Closed, DetectedBy, Event};
use crate::watcher::{Registration, Socket};
use std::io::{self};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The shared state of a stream, and its policies.
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

    /// Called before code outside of the stream gets `&mut` of the wrapped stream, or the wrapped stream itself.
    pub(super) fn share_descriptor(&self) {
        if let Some(socket) = self.socket() {
            socket.share_descriptor();
        }
    }

    /// Moves unread input to the side buffer, if the configuration asks for it: a FIN may be behind it.
    #[inline]
    pub(super) fn before_write<S>(
        &self,
        ahead: &mut Option<Box<ReadAhead<S>>>,
        io: Pin<&mut S>,
        cx: &Context<'_>,
    ) {
        if let Some(ahead) = ahead {
            // After the delay, too: the answer may still be in a layer's buffer.
            let looks = || self.shared.is_fin_delayed() || self.shared.is_fin_unread();
            let lookahead = ahead.lookahead().filter(|_| looks());
            let limit = lookahead.unwrap_or(ahead.limit());
            if limit > 0 {
                let _call = self.shared.enter();
                self.read_ahead(limit, ahead, io, cx);
            }
        }
    }

    /// Moves up to `limit` bytes to the side buffer, and reports the FIN if it comes next.
    pub(super) fn read_ahead<S>(
        &self,
        limit: usize,
        ahead: &mut ReadAhead<S>,
        io: Pin<&mut S>,
        cx: &Context<'_>,
    ) {
        let ended = if waits(cx.waker()) {
            ahead.fill(limit, io, cx)
        } else {
            // In the place of the call that does wait.
            let pending = ahead.writer();
            let waker = pending.as_ref().unwrap_or(cx.waker());
            let ended = ahead.fill(limit, io, &Context::from_waker(waker));
            if pending.is_none() {
                ahead.written();
            }
            ended
        };
        self.shared.set_input_ahead(ahead.hides_input());
        let ended = match ended {
            // The reader has not seen it yet (invariant 10).
            Some(Ok(())) => self.end_of_file::<S>(Event::Fin),
            Some(Err(error)) => Err(self.read_ahead_failed(error)),
            None => return,
        };
        if let Err(error) = ended {
            ahead.fail(error);
        }
    }

    /// Writes to `io`, unless the write is refused (invariant 6).
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
            written(ahead, cx);
            return Poll::Ready(Err(reason.into()));
        }
        let polled = write(io.as_mut(), cx);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.shared.counters.add_accepted(bytes);
            written(ahead, cx);
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

    /// Why a write is refused now, if it is.
    #[cold]
    pub(super) fn refusal(&self) -> Option<CloseReason> {
        self.shared.refusal(|| self.reads_fin())
    }

    /// Whether somebody is about to read the peer's FIN: a read is pending, or unread input comes before the FIN.
    fn reads_fin(&self) -> bool {
        self.shared.is_read_pending()
            || self.shared.is_input_ahead()
            || self.socket().is_some_and(|socket| socket.has_unread())
    }

    /// Starts a task that checks how much is owed to the peer. Returns `false` if the system does not report this;
    /// then the pending calls have to be judged.
    fn attend(&self) -> bool {
        let (Some(stall), Some(socket)) = (&self.stall, self.socket()) else {
            return false;
        };
        if !socket.tells_owed_bytes() {
            return false;
        }
        if let Some((attendance, runtime)) = stall.attend() {
            let closed = Closed::new(self.shared.clone());
            runtime.spawn(attend(socket.clone(), closed, attendance));
        }
        true
    }

    /// Applies the stall policy to a write, flush or shutdown that has ended or is pending. Called between two calls,
    /// when the counters are exact.
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
        let read = || match socket {
            Some(socket) => socket.reading(),
            None => self.shared.counters.accepted().into(),
        };
        let Some(event) = stall.pending(step, cx, read) else {
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

    /// A read is pending. Ready with the reason if our own side has closed the stream.
    pub(super) fn reading(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let reset_wakes = self.socket().is_some_and(|socket| socket.reset_wakes());
        let unheard = self.stall.is_some() || !reset_wakes;
        let refusal = match unheard {
            false => None,
            true if waits(cx.waker()) => self.shared.park_reader(cx.waker()).err(),
            true => self.shared.read_refusal(),
        };
        refusal.map_or(Poll::Pending, |reason| Poll::Ready(Err(reason.into())))
    }

    /// A task waits for room. Ready with the reason if no write will be accepted any more.
    pub(super) fn waits_to_write(&self, cx: &Context<'_>) -> Poll<CloseReason> {
        if !waits(cx.waker()) {
            return self.refusal().map_or(Poll::Pending, Poll::Ready);
        }
        match self.shared.park_writer(cx.waker(), || self.reads_fin()) {
            Ok(()) => Poll::Pending,
            Err(reason) => Poll::Ready(reason),
        }
    }
}

/// A write, flush or shutdown is done. One that does not wait leaves the waker of another one that is pending.
pub(super) fn written<S>(ahead: &mut Option<Box<ReadAhead<S>>>, cx: &Context<'_>) {
    if let Some(ahead) = ahead
        && waits(cx.waker())
    {
        ahead.written();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // First remove the socket from the watcher: everything that it has observed until now was caused by the peer.
        #[cfg(feature = "metrics")]
        let monitor = crate::monitor::Monitor::new(self.shared.clone());
        // The kernel continues to send the rest, but not for longer than the policy allows.
        if let (Some(stall), Some(socket)) = (&self.stall, self.socket()) {
            socket.bound_orphan(stall.window());
        }
        if let Some(registration) = self.registration.take() {
            registration.close();
        }
        self.shared.apply(Event::Dropped, DetectedBy::Us);
        #[cfg(feature = "metrics")]
        crate::observe::call_foreign(|| {
            crate::observe::metrics::dropped(monitor.transfer().into());
        });
    }
}
