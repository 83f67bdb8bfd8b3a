//! The wrapper: the only file that turns poll results into events.

use crate::event::{Event, HeardBy};
use crate::fate::Fate;
use crate::stall::{Stall, Step};
use crate::unread::Unread;
use crate::watcher::{RESET_WAKES, Registration, Socket, Source};
use crate::{CloseReason, Closed, Monitor, MonitorConfig};
use pin_project_lite::pin_project;
use socket2::SockRef;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
use {std::task::ready, tokio::io::Interest, tokio::net::TcpStream};

pin_project! {
    /// A byte stream that tells, at once and with the reason, when its peer is gone.
    ///
    /// It wraps any [`AsyncRead`] + [`AsyncWrite`] and passes every call on to it. Beside that the
    /// runtime's watcher hears from the kernel when the peer hangs up, whether or not anything is being
    /// read or written, and whatever lies unread.
    ///
    /// # When it closes
    ///
    /// On the peer's FIN (see [`HalfClose`](crate::HalfClose) for the other policy), on a reset, on any
    /// error of a read or a write but "would block" and "interrupted", when its peer stalls (see
    /// [`StallPolicy`](crate::StallPolicy)), when it is [aborted](Self::abort) or dropped, and when the
    /// runtime that watches it is shut down. From then on
    /// * writes fail at once with an [`io::Error`] that carries the [`CloseReason`], and a write, flush
    ///   or shutdown that was pending is woken and fails so too;
    /// * reads go on: what arrived before the hang-up is still there, and then comes the end of file or
    ///   the error that the bare stream would give. (If it was us who ended it, because the peer stalled
    ///   or by an abort, a read that would wait is woken and fails with the reason.)
    ///
    /// The write that finds an error first fails with that error itself; `CloseReason::from(&error)`
    /// gives the reason of both.
    ///
    /// # What cannot be seen
    ///
    /// A FIN that waits at the peer behind data for which our receive window has no room (a reset is
    /// seen); whether a FIN means half-close or close; without [timers](MonitorConfig::silent_death) a
    /// peer that vanished without a word. See the [crate's documentation](crate#what-cannot-be-seen).
    ///
    /// # Cancel safety
    ///
    /// It keeps nothing back between two polls: reads and writes are as cancel safe as those of the
    /// wrapped stream.
    ///
    /// # Example
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let mut stream = MonitoredStream::new(listener.accept().await?.0)?;
    ///
    /// drop(client);
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    /// let error = stream.write_all(b"for nobody").await.unwrap_err();
    /// assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::PeerClosed));
    /// # Ok(())
    /// # }
    /// ```
    pub struct MonitoredStream<S> {
        // Before `io`: fields are dropped in this order, and the watcher lets go of the descriptor
        // before it is closed (invariant 3).
        link: Link,
        unread: Option<Box<Unread<S>>>,
        #[pin]
        io: S,
    }
}

impl<S: Source> MonitoredStream<S> {
    /// Wraps `io`, and has its socket watched by the present runtime's watcher.
    ///
    /// `io` is anything with one socket under it: a [`TcpStream`](tokio::net::TcpStream), a
    /// `UnixStream`, a TLS stream over one of them. The runtime should be the one that `io` was made
    /// in; wherever the stream is moved to, that runtime watches it.
    ///
    /// # Errors
    ///
    /// * [`NotConnected`](ErrorKind::NotConnected): there is no runtime here, or it is being shut down;
    /// * [`Unsupported`](ErrorKind::Unsupported): the runtime was built without I/O, or without timers for
    ///   a stall policy or to hold a FIN (tokio's panic message is printed too, by the panic hook);
    /// * [`AlreadyExists`](ErrorKind::AlreadyExists): another `MonitoredStream` watches the same socket;
    /// * whatever the operating system says: the descriptor is closed or no socket, or a limit is
    ///   reached.
    ///
    /// `io` is dropped then, and its connection closed.
    pub fn new(io: S) -> io::Result<Self> {
        Self::wrap(io, &MonitorConfig::default(), None)
    }

    fn wrap(io: S, config: &MonitorConfig, unread: Option<Box<Unread<S>>>) -> io::Result<Self> {
        let timers = config.timers()?;
        let stall = stall(config)?;
        let hold = config.hold()?;
        let fate = Arc::new(Fate::new(config.policy()));
        // What the watcher sees before the account is open waits.
        let call = fate.enter();
        let registration = Registration::new(&io, &fate, hold)?;
        if let Some(timers) = timers {
            let armed = registration.socket().lend(|socket| timers.arm(socket));
            armed.unwrap_or(Ok(()))?;
        }
        open_account(&fate, Some(registration.socket()));
        drop(call);
        Ok(Self {
            link: Link {
                registration: Some(registration),
                fate,
                stall,
            },
            unread,
            io,
        })
    }
}

impl<S: Source + AsyncRead> MonitoredStream<S> {
    /// As [`new`](Self::new), with another configuration than the default one.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and those of [`MonitorConfig::silent_death`].
    ///
    /// ```
    /// use hangup::{HalfClose, MonitorConfig, MonitoredStream, Status};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let config = MonitorConfig::new().half_close(HalfClose::Allowed);
    /// let mut stream = MonitoredStream::with_config(listener.accept().await?.0, &config)?;
    ///
    /// client.shutdown().await?;
    /// let mut status = stream.monitor().subscribe();
    /// status.wait_for(|status| *status == Status::PeerFinished).await.unwrap();
    /// stream.write_all(b"answer").await?;
    /// stream.shutdown().await?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer).await?;
    /// assert_eq!(answer, "answer");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_config(io: S, config: &MonitorConfig) -> io::Result<Self> {
        let (limit, looks) = (config.unread_limit(), config.holds_fin());
        let unread =
            (limit.is_some() || looks).then(|| Box::new(Unread::new(limit.unwrap_or(0), looks)));
        Self::wrap(io, config, unread)
    }
}

impl<S> MonitoredStream<S> {
    /// Wraps `io` without watching: for streams without a socket, such as
    /// `tokio::io::duplex` or a simulation's.
    ///
    /// Hang-ups are then learnt of from the results of reads and writes alone, as they come. Needs no
    /// runtime.
    pub fn unwatched(io: S) -> Self {
        Self::unwatched_with_config(io, &MonitorConfig::default())
    }

    /// As [`unwatched`](Self::unwatched), with another configuration than the default one.
    ///
    /// # Panics
    ///
    /// If the configuration has a [stall policy](MonitorConfig::stall), and this is not called within a
    /// runtime that has timers.
    pub fn unwatched_with_config(io: S, config: &MonitorConfig) -> Self {
        let stall = stall(config).unwrap_or_else(|error| panic!("{error}"));
        let fate = Arc::new(Fate::new(config.policy()));
        open_account(&fate, None);
        Self {
            link: Link {
                registration: None,
                fate,
                stall,
            },
            unread: None,
            io,
        }
    }

    /// A handle on this stream's fate, for other tasks and threads.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.link.fate.clone(), self.link.socket().cloned())
    }

    /// Resolves when the stream is over, with the reason. The future borrows nothing.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let mut stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// # let mut next_event = async || { tokio::task::yield_now().await; "event\n" };
    /// # tokio::spawn(async move { drop(client) });
    /// let mut closed = stream.closed();
    /// let reason = loop {
    ///     tokio::select! {
    ///         reason = &mut closed => break reason,
    ///         event = next_event() => {
    ///             if let Err(error) = stream.write_all(event.as_bytes()).await {
    ///                 break (&error).into();
    ///             }
    ///         }
    ///     }
    /// };
    /// println!("stopped: {reason}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn closed(&self) -> Closed {
        Closed::new(self.link.fate.clone())
    }

    /// Whether the stream is over, as far as the watcher and its own I/O have told. One atomic load.
    pub fn is_closed(&self) -> bool {
        self.link.fate.is_closed()
    }

    /// Why the stream is over, if it is.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.link.fate.close_reason()
    }

    /// Ends the stream now, with [`CloseReason::Aborted`], and resets the peer.
    ///
    /// As [`Monitor::abort`]. The descriptor stays open until the stream is dropped; only then the kernel
    /// has nothing left of it.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::AsyncReadExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// stream.abort();
    /// assert_eq!(stream.close_reason(), Some(CloseReason::Aborted));
    /// drop(stream);
    /// let error = client.read_u8().await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort(&self) {
        self.monitor().abort();
    }

    /// The wrapped stream.
    ///
    /// What is read and written through it is not counted.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// The wrapped stream.
    ///
    /// What is read and written through it is not counted, and its errors are not heard of. It must not
    /// be exchanged for another stream: the watcher would go on watching the first one's socket. Use
    /// [`into_inner`](Self::into_inner) for that.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.io
    }

    /// The wrapped stream, pinned. As [`get_mut`](Self::get_mut).
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().io
    }

    /// Takes the wrapped stream out: it is watched no longer, and stays open.
    ///
    /// Input that was [moved to the side](MonitorConfig::drain_unread) and not read yet is lost.
    ///
    /// Monitors tell [`CloseReason::Dropped`], if nothing else was the reason before.
    pub fn into_inner(self) -> S {
        self.io
    }

    pub(crate) fn into_parts(self) -> (Link, Option<Box<Unread<S>>>, S) {
        (self.link, self.unread, self.io)
    }

    pub(crate) fn from_parts(link: Link, unread: Option<Box<Unread<S>>>, io: S) -> Self {
        Self { link, unread, io }
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
impl MonitoredStream<TcpStream> {
    /// A write that is done by `send`, which is called when the socket has room.
    pub(crate) fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let Self { link, unread, io } = self;
        link.make_way(unread, Pin::new(&mut *io), cx);
        link.write(unread, Pin::new(io), cx, |io, cx| {
            loop {
                ready!(io.poll_write_ready(cx))?;
                match io.try_io(Interest::WRITABLE, || send(&io)) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    sent => return Poll::Ready(sent),
                }
            }
        })
    }
}

impl<S: AsyncRead> AsyncRead for MonitoredStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let _call = this.link.fate.enter();
        let filled = buf.filled().len();
        let room = buf.remaining() > 0;
        if let Some(unread) = this.unread {
            if let Some(read) = unread.read(buf) {
                let bytes = buf.filled().len() - filled;
                this.link.fate.counters.add_read(bytes);
                return Poll::Ready(read);
            }
            unread.park(None);
        }
        match this.io.poll_read(cx, buf) {
            Poll::Ready(Ok(())) if buf.filled().len() == filled && room => {
                Poll::Ready(this.link.end_of_file())
            }
            Poll::Ready(Ok(())) => {
                this.link
                    .fate
                    .counters
                    .add_read(buf.filled().len() - filled);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(this.link.read_failed(error))),
            Poll::Pending => {
                if let Some(unread) = this.unread {
                    unread.park(Some(cx.waker()));
                }
                this.link.reading(cx)
            }
        }
    }
}

impl<S: AsyncWrite> AsyncWrite for MonitoredStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut this = self.project();
        this.link.make_way(this.unread, this.io.as_mut(), cx);
        this.link
            .write(this.unread, this.io, cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut this = self.project();
        this.link.make_way(this.unread, this.io.as_mut(), cx);
        this.link.write(this.unread, this.io, cx, |io, cx| {
            io.poll_write_vectored(cx, bufs)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        this.link.make_way(this.unread, this.io.as_mut(), cx);
        let call = this.link.fate.enter();
        let polled = this.io.as_mut().poll_flush(cx);
        let polled = this.link.sent(this.unread, this.io, cx, polled);
        drop(call);
        this.link.judge(Step::Flush, cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        this.link.make_way(this.unread, this.io.as_mut(), cx);
        let call = this.link.fate.enter();
        let polled = this.io.as_mut().poll_shutdown(cx);
        if let Poll::Ready(Ok(())) = polled {
            this.link.fate.file(Event::ShutDown, HeardBy::Us);
        }
        let polled = this.link.sent(this.unread, this.io, cx, polled);
        drop(call);
        this.link.judge(Step::Shutdown, cx, polled)
    }
}

#[cfg(unix)]
impl<S: std::os::fd::AsRawFd> std::os::fd::AsRawFd for MonitoredStream<S> {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.io.as_raw_fd()
    }
}

#[cfg(unix)]
impl<S: std::os::fd::AsFd> std::os::fd::AsFd for MonitoredStream<S> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.io.as_fd()
    }
}

#[cfg(windows)]
impl<S: std::os::windows::io::AsRawSocket> std::os::windows::io::AsRawSocket
    for MonitoredStream<S>
{
    fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
        self.io.as_raw_socket()
    }
}

#[cfg(windows)]
impl<S: std::os::windows::io::AsSocket> std::os::windows::io::AsSocket for MonitoredStream<S> {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.io.as_socket()
    }
}

impl<S: fmt::Debug> fmt::Debug for MonitoredStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitoredStream")
            .field("io", &self.io)
            .field("status", &self.link.fate.status())
            .field("watched", &self.link.registration.is_some())
            .finish()
    }
}

/// Opens the account of the stream, if one is kept.
fn open_account(fate: &Arc<Fate>, socket: Option<&Arc<Socket>>) {
    let peer = || {
        let address = socket?.lend(|socket| SockRef::from(&socket).peer_addr());
        address?.ok()?.as_socket()
    };
    let transfer = || {
        let monitor = Monitor::new(fate.clone(), socket.cloned());
        move || monitor.transfer()
    };
    fate.account.open(peer, transfer);
}

/// What ties the wrapped stream to its fate.
pub(crate) struct Link {
    pub(crate) registration: Option<Registration>,
    pub(crate) fate: Arc<Fate>,
    /// The stall policy, if there is one.
    stall: Option<Box<Stall>>,
}

/// The stall policy of `config`, with the timer of the present runtime.
fn stall(config: &MonitorConfig) -> io::Result<Option<Box<Stall>>> {
    let stall = config.stall_policy();
    let stall = stall.map(|(policy, reset)| Stall::new(policy, reset));
    Ok(stall.transpose()?.map(Box::new))
}

impl Link {
    pub(crate) fn socket(&self) -> Option<&Arc<Socket>> {
        self.registration.as_ref().map(Registration::socket)
    }

    /// Moves what is unread to the side, if that was asked for: its end may be behind it.
    #[inline]
    fn make_way<S>(&self, unread: &mut Option<Box<Unread<S>>>, io: Pin<&mut S>, cx: &Context<'_>) {
        if let Some(unread) = unread {
            let sight = unread.sight().filter(|_| self.fate.holds_fin());
            let limit = sight.unwrap_or(unread.limit());
            if limit > 0 {
                let _call = self.fate.enter();
                self.read_ahead(limit, unread, io, cx);
            }
        }
    }

    /// Moves up to `limit` bytes to the side, and tells of the end if it is behind them.
    fn read_ahead<S>(
        &self,
        limit: usize,
        unread: &mut Unread<S>,
        io: Pin<&mut S>,
        cx: &Context<'_>,
    ) {
        let ended = match unread.fill(limit, io, cx) {
            Some(Ok(())) => self.end_of_file(),
            Some(Err(error)) => Err(self.read_failed(error)),
            None => return,
        };
        if let Err(error) = ended {
            unread.fail(error);
        }
    }

    /// One write of `io`, or the refusal of it (invariant 6).
    fn write<S>(
        &mut self,
        unread: &mut Option<Box<Unread<S>>>,
        mut io: Pin<&mut S>,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let call = self.fate.enter();
        if call.closed {
            if let Some(reason) = self.fate.close_reason() {
                return Poll::Ready(Err(reason.into()));
            }
        }
        let polled = write(io.as_mut(), cx);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.fate.counters.add_accepted(bytes);
            if let Some(stall) = &mut self.stall {
                stall.done(Step::Write);
            }
            return polled;
        }
        let polled = self.sent(unread, io, cx, polled);
        drop(call);
        self.judge(Step::Write, cx, polled)
    }

    /// What the stall policy says of a write, flush or shutdown that has ended or is pending. Asked
    /// between two calls, when the counters are exact.
    fn judge<T>(
        &mut self,
        step: Step,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(stall) = &mut self.stall else {
            return polled;
        };
        if polled.is_ready() {
            stall.done(step);
            return polled;
        }
        let socket = self.registration.as_ref().map(Registration::socket);
        let drained = || match socket {
            Some(socket) => socket.drained(),
            None => self.fate.counters.accepted(),
        };
        let Some(event) = stall.pending(step, cx, drained) else {
            return polled;
        };
        match socket {
            Some(socket) if stall.reset && event == Event::Stalled => {
                socket.abort(event, HeardBy::StallPolicy);
            }
            _ if event == Event::Stalled => self.fate.file(event, HeardBy::StallPolicy),
            _ => self.fate.file(event, HeardBy::Us),
        }
        match self.fate.close_reason() {
            Some(reason) => Poll::Ready(Err(reason.into())),
            None => polled,
        }
    }

    /// A read is pending. An end of our own making wakes it, and takes its place.
    fn reading(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let unheard = self.stall.is_some() || self.registration.is_none() || !RESET_WAKES;
        if unheard {
            if let Err(reason) = self.fate.park_reader(cx.waker()) {
                return Poll::Ready(Err(reason.into()));
            }
        }
        Poll::Pending
    }

    /// What the result of a write, flush or shutdown means, where a protocol above the socket may say more
    /// of the peer's end.
    fn sent<S, T>(
        &self,
        unread: &mut Option<Box<Unread<S>>>,
        io: Pin<&mut S>,
        cx: &Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let ahead = unread
            .as_mut()
            .and_then(|ahead| Some((ahead.sight()?, ahead)));
        let Some((sight, unread)) = ahead else {
            return self.wrote(cx, polled);
        };
        let polled = match (polled, self.socket()) {
            // The peer has ended, and how is still to be read, for which the runtime may not be ready yet.
            (Poll::Ready(Err(error)), Some(socket))
                if self.is_peers_end(&error) && socket.hear_broken_pipe() =>
            {
                self.wrote(cx, Poll::Pending)
            }
            (polled, _) => self.wrote(cx, polled),
        };
        // A FIN may have been heard before there was a waker to wake.
        if polled.is_pending() {
            if self.fate.holds_fin() {
                self.read_ahead(sight, unread, io, cx);
            }
            if let Some(reason) = self.fate.close_reason() {
                return Poll::Ready(Err(reason.into()));
            }
        }
        polled
    }

    /// Whether an error of the sending side says no more than that the peer has ended.
    fn is_peers_end(&self, error: &io::Error) -> bool {
        let ours = self.fate.is_shut_down() || self.fate.is_reset();
        error.kind() == ErrorKind::BrokenPipe && !ours && CloseReason::carried_by(error).is_none()
    }

    /// What the result of a write, flush or shutdown means. A pending one is woken by the close.
    fn wrote<T>(&self, cx: &Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(_)) = &polled {
            if let Some(reason) = self.fate.reset_reason() {
                return Poll::Ready(Err(reason.into()));
            }
        }
        match &polled {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::BrokenPipe => {
                // After our own shutdown it is our own doing (invariant 8).
                if !self.fate.is_shut_down() {
                    let event = match (CloseReason::carried_by(error), self.socket()) {
                        (Some(reason), _) => Event::Failed(reason.clone()),
                        (None, Some(socket)) => socket.broken_pipe(),
                        (None, None) => Event::HungUp,
                    };
                    self.fate.file(event, HeardBy::Write);
                }
            }
            Poll::Ready(Err(error)) => self.failed(error, HeardBy::Write),
            Poll::Pending => {
                if let Err(reason) = self.fate.park_writer(cx.waker()) {
                    return Poll::Ready(Err(reason.into()));
                }
            }
        }
        polled
    }

    /// What it means that a protocol above the stream could not be set up.
    pub(crate) fn layering_failed(&self, error: io::Error) -> io::Error {
        if error.kind() != ErrorKind::BrokenPipe {
            return self.read_failed(error);
        }
        let cx = &Context::from_waker(Waker::noop());
        match self.wrote::<()>(cx, Poll::Ready(Err(error))) {
            Poll::Ready(Err(error)) => error,
            _ => unreachable!("an error stays one"),
        }
    }

    /// The read found the end of the input, or the place of an error that the watcher has taken.
    fn end_of_file(&self) -> io::Result<()> {
        if let Some(reason) = self.fate.reset_reason() {
            return Err(reason.into());
        }
        match self.taken_error() {
            Some(error) => {
                self.failed(&error, HeardBy::Read);
                Err(error)
            }
            None => {
                self.fate.file(Event::Fin, HeardBy::Read);
                Ok(())
            }
        }
    }

    /// The read failed. A layer between us and the socket that misses the end of its input has met the
    /// place of an error that the watcher has taken.
    fn read_failed(&self, error: io::Error) -> io::Error {
        if let Some(reason) = self.fate.reset_reason() {
            return reason.into();
        }
        let taken = match error.kind() {
            ErrorKind::UnexpectedEof => self.taken_error(),
            _ => None,
        };
        let error = taken.unwrap_or(error);
        self.failed(&error, HeardBy::Read);
        error
    }

    fn taken_error(&self) -> Option<io::Error> {
        self.socket().and_then(|socket| socket.take_error())
    }

    /// An error of the wrapped stream, other than a write's broken pipe.
    fn failed(&self, error: &io::Error, by: HeardBy) {
        let event = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => return,
            _ if tokio::runtime::is_rt_shutdown_err(error) => Event::RuntimeShutdown,
            ErrorKind::ConnectionReset => Event::Reset { after_fin: false },
            _ => Event::Failed(CloseReason::from(error)),
        };
        self.fate.file(event, by);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The watcher lets go first: what it still saw of the socket is the peer's doing.
        #[cfg(feature = "metrics")]
        let monitor = Monitor::new(self.fate.clone(), self.socket().cloned());
        self.registration = None;
        self.fate.file(Event::Dropped, HeardBy::Us);
        #[cfg(feature = "metrics")]
        crate::account::foreign(|| crate::metrics::dropped(&monitor.transfer()));
    }
}
