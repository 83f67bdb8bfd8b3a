//! What the result of a call says about the peer: turns it into an event, and finds the error that belongs to it.
//!
//! | result | event |
//! |---|---|
//! | "would block", "interrupted" | none |
//! | a read of a TCP socket returns EOF, and its peer has sent no FIN | none: other code has shut our receiving direction down |
//! | a read returns EOF | `EndOfInput`, or `Fin` if a write has read ahead and the reader does not know yet |
//! | a write has read ahead and found the error of a missing end | `Truncated` |
//! | `ECONNRESET` | `Reset` |
//! | a write fails with `EPIPE` | none after our own shutdown, which causes it; else what the kind of the descriptor says (`Target::broken_pipe`). If that is a reset, the write fails with it |
//! | tokio's error of a runtime that shuts down | `RuntimeShutdown` |
//! | any other error | `Failed`, with the reason that fits the error |
//!
//! The kernel reports the error of a socket once. If the watcher was given it, then EOF, `EPIPE` or the `UnexpectedEof` of a
//! layer in between stands for it here: the stored error takes their place, in the event and for the caller (invariant 4). After
//! a reset of our own, the reason of that reset takes the place of whatever the socket says.

use super::link::{Link, written};
use crate::errors::CloseReason;
use crate::policy::ReadAhead;
use crate::state::{DetectedBy, Event};
use crate::watcher::Known;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

impl Link {
    /// Interprets the result of a write, flush or shutdown, if a protocol above the socket may know more about the
    /// peer's end.
    pub(super) fn sent<S, T>(
        &self,
        ahead: &mut Option<Box<ReadAhead<S>>>,
        io: Pin<&mut S>,
        cx: &Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let polled = self.sent_or_waits(ahead, io, cx, polled);
        if polled.is_ready() {
            written(ahead, cx);
        }
        polled
    }

    /// A result that only tells of the peer's end may have to wait for the protocol's own reason.
    fn sent_or_waits<S, T>(
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
            // The peer has ended. The protocol's reason is still unread, and the runtime may not have reported it as
            // readable yet.
            (Poll::Ready(Err(error)), Some(socket))
                if self.is_peers_end(&error) && socket.report_broken_pipe() =>
            {
                self.wrote(cx, Poll::Pending)
            }
            (polled, _) => self.wrote(cx, polled),
        };
        // A FIN may have been detected before this waker was registered.
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

    /// Whether an error of the sending direction says only that the peer has ended.
    fn is_peers_end(&self, error: &io::Error) -> bool {
        let ours = self.shared.is_shut_down() || self.shared.is_reset();
        is_broken_pipe(error) && !ours && CloseReason::carried_by(error).is_none()
    }

    /// Interprets the result of a write, flush or shutdown. The close wakes a pending one.
    fn wrote<T>(&self, cx: &Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(_)) = &polled
            && let Some(reason) = self.shared.reset_reason()
        {
            return Poll::Ready(Err(reason.into()));
        }
        match &polled {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) if is_broken_pipe(error) => {
                // After our own shutdown we have caused this error ourselves (invariant 8).
                if self.shared.is_shut_down() {
                    return polled;
                }
                let reason = CloseReason::carried_by(error);
                if let Some(socket) = self.socket() {
                    socket.explain_end();
                }
                // The kernel reports an error once, and the watcher has taken this one.
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
                // EPIPE says that the peer has closed.
                if self.shared.close_reason() == Some(CloseReason::Reset) {
                    return Poll::Ready(Err(CloseReason::Reset.into()));
                }
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

    /// Interprets the error of a protocol above the stream that could not be set up.
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

    /// A read returned EOF. It may stand for an error that the watcher has taken from the socket.
    ///
    /// `event` is [`Event::EndOfInput`], or [`Event::Fin`] if the reader has not seen the EOF yet. `S` is the wrapped stream.
    pub(super) fn end_of_file<S>(&self, event: Event) -> io::Result<()> {
        if let Some(reason) = self.shared.reset_reason() {
            return Err(reason.into());
        }
        // Once closed, the reason is known.
        if let Some(socket) = self.socket()
            && !self.shared.status().is_closed()
        {
            let is_open = socket.explain_end_of_input();
            // Other code has shut our receiving direction down (invariant 8). A layer has ends of its own.
            if is_open && Known::of::<S>().is_socket() {
                return Ok(());
            }
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

    /// A read failed. If a layer between us and the socket complains about a missing end of its input, the cause may
    /// be an error that the watcher has taken from the socket.
    pub(super) fn read_failed(&self, error: io::Error) -> io::Error {
        self.explain_failed_read(error, Self::failed)
    }

    /// As [`read_failed`](Self::read_failed), for a read that a write has made: the reader has not seen the error yet.
    pub(super) fn read_ahead_failed(&self, error: io::Error) -> io::Error {
        self.explain_failed_read(error, |link, error, by| match CloseReason::from(error) {
            CloseReason::Truncated => link.shared.apply(Event::Truncated, by),
            _ => link.failed(error, by),
        })
    }

    fn explain_failed_read(
        &self,
        error: io::Error,
        report: impl FnOnce(&Self, &io::Error, DetectedBy),
    ) -> io::Error {
        if let Some(reason) = self.shared.reset_reason() {
            return reason.into();
        }
        let taken = match error.kind() {
            ErrorKind::UnexpectedEof => self.taken_error(),
            _ => None,
        };
        let error = taken.unwrap_or(error);
        if let (Some(_), Some(socket)) = (error.raw_os_error(), self.socket()) {
            socket.read_failed();
        }
        report(self, &error, DetectedBy::Read);
        error
    }

    fn taken_error(&self) -> Option<io::Error> {
        self.socket().and_then(|socket| socket.take_error())
    }

    /// An error of the wrapped stream, other than EPIPE from a write.
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

/// Whether the sending direction has ended. After our own shutdown Windows reports this as WSAESHUTDOWN, for which std
/// has no kind.
fn is_broken_pipe(error: &io::Error) -> bool {
    const WSAESHUTDOWN: i32 = 10_058;
    error.kind() == ErrorKind::BrokenPipe
        || cfg!(windows) && error.raw_os_error() == Some(WSAESHUTDOWN)
}
