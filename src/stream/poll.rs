//! Reads and writes: each call goes to the wrapped stream, and its result to the link.
//!
//! | call | before it | its result |
//! |---|---|---|
//! | read, peek | the side buffer, if it holds input | read bytes are counted; no byte in spite of room is EOF; a pending one is recorded, because a FIN refuses no write while a read is pending (invariant 10) |
//! | write | reads ahead, if the configuration says so; refused after the close (invariant 6) | accepted bytes are counted; a pending one is parked, so that the close wakes it |
//! | flush | reads ahead | as a write, without bytes |
//! | shutdown | the same, and the kernel is asked whether a FIN is there: it came before our shutdown then, and the reason is not `Finished` (invariant 8) | `Event::ShutDown` |
//!
//! Each call holds the guard of `enter` while it is inside the wrapped stream. What the watcher observes meanwhile is applied
//! when the guard is dropped, so that the result of the call comes first. The stall policy judges a pending call after that,
//! when the counters are exact.

use super::monitored_stream::MonitoredStream;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
use super::socket::DirectIo;
#[cfg(any(unix, windows))]
use crate::errors::CloseReason;
use crate::policy::Step;
use crate::state::{DetectedBy, Event};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
use {std::io::ErrorKind, std::task::ready};

/// A stream, or a write half, that can tell that it takes no more, while there is nothing to write yet.
#[cfg(any(unix, windows))]
pub(crate) trait PollRefused: AsyncWrite + Unpin {
    /// Ready with the reason when writes are refused. Until then it is not a pending write, which a stall policy would
    /// judge.
    fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason>;
}

#[cfg(any(unix, windows))]
impl<S: AsyncWrite + Unpin> PollRefused for MonitoredStream<S> {
    fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.link.waits_to_write(cx)
    }
}

/// A stream, or a write half, on whose socket the kernel may be asked to write.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
pub(crate) trait SocketWrite: PollRefused {
    type Socket: DirectIo;

    /// Polls a write. `send` is called when the socket has room.
    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        send: impl FnMut(&Self::Socket) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>>;
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
impl<S: DirectIo> SocketWrite for MonitoredStream<S> {
    type Socket = S;

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write_by(cx, |io, cx| {
            loop {
                ready!(io.poll_write_ready(cx))?;
                match io.try_write_io(|| send(&io)) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    sent => return Poll::Ready(sent),
                }
            }
        })
    }
}

/// What a read does with the input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Taken,
    /// It stays for the next read (`MSG_PEEK`).
    Seen,
}

impl<S> MonitoredStream<S> {
    /// Polls a read. `read` either consumes the input or only peeks at it.
    #[inline]
    pub(super) fn poll_read_by(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        input: Input,
        read: impl FnOnce(Pin<&mut S>, &mut Context<'_>, &mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let _call = this.link.shared.enter();
        let filled = buf.filled().len();
        let room = buf.remaining() > 0;
        if let Some(ahead) = this.ahead {
            if !room && ahead.has_input() {
                return Poll::Ready(Ok(()));
            }
            let read = match input {
                Input::Taken => ahead.read(buf),
                Input::Seen => ahead.peek(buf),
            };
            if let Some(read) = read {
                if input == Input::Taken {
                    let bytes = buf.filled().len() - filled;
                    this.link.shared.set_input_ahead(ahead.hides_input());
                    this.link.shared.counters.add_read(bytes);
                }
                if read.is_err() {
                    // The reader has reached the end that a write has found (invariant 10).
                    this.link.shared.apply(Event::EndOfInput, DetectedBy::Read);
                }
                return Poll::Ready(read);
            }
            ahead.park(None);
        }
        // It takes the place where a write that reads ahead waits for input.
        let both = { this.ahead.as_ref() }.and_then(|ahead| ahead.both(cx.waker()));
        let polled = match &both {
            Some(both) => read(this.io, &mut Context::from_waker(both), buf),
            None => read(this.io, cx, buf),
        };
        match polled {
            Poll::Ready(Ok(())) if buf.filled().len() == filled && room => {
                Poll::Ready(this.link.end_of_file::<S>(Event::EndOfInput))
            }
            Poll::Ready(Ok(())) => {
                if input == Input::Taken {
                    let bytes = buf.filled().len() - filled;
                    this.link.shared.counters.add_read(bytes);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(this.link.read_failed(error))),
            Poll::Pending => {
                this.link.shared.read_is_pending();
                if let Some(ahead) = this.ahead {
                    ahead.park(Some(cx.waker()));
                }
                this.link.reading(cx)
            }
        }
    }

    /// Polls a write, unless it is refused. `write` does it.
    pub(super) fn poll_write_by(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        this.link.write(this.ahead, this.io, cx, write)
    }
}

impl<S: AsyncRead> AsyncRead for MonitoredStream<S> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_by(cx, buf, Input::Taken, S::poll_read)
    }
}

impl<S: AsyncWrite> AsyncWrite for MonitoredStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        this.link.before_write(this.ahead, this.io.as_mut(), cx);
        let call = this.link.shared.enter();
        let polled = this.io.as_mut().poll_flush(cx);
        let polled = this.link.sent(this.ahead, this.io, cx, polled);
        drop(call);
        this.link.judge(Step::Flush, cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        // A FIN that has already arrived came before our shutdown, even if nobody has detected it yet.
        if let Some(socket) = this.link.socket().filter(|_| !this.link.shared.is_closed()) {
            socket.examine(DetectedBy::Write);
        }
        this.link.before_write(this.ahead, this.io.as_mut(), cx);
        let call = this.link.shared.enter();
        let polled = this.io.as_mut().poll_shutdown(cx);
        if let Poll::Ready(Ok(())) = polled {
            this.link.shared.apply(Event::ShutDown, DetectedBy::Us);
        }
        let polled = this.link.sent(this.ahead, this.io, cx, polled);
        drop(call);
        this.link.judge(Step::Shutdown, cx, polled)
    }
}
