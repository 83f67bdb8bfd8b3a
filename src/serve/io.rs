//! The I/O of a connection, as hyper sees it.
//!
//! It adds five things to the stream: reads and writes count as activity, the control frames of HTTP/2 and the records of TLS
//! without data have a limit, the placeholders of a file are replaced by the file, and the small writes of HTTP/2 are
//! collected.
//!
//! hyper owns a stream, and drops it after the last response. But a client that is still sending needs the socket for longer,
//! and h2 does not know when it has written all that it can. So the connection's task has a second handle.

use super::LimitReason;
use super::byte_stream::ByteStream;
use super::collected::Collected;
use super::connection::ConnectionState;
use super::control_frames::ControlFrames;
use super::registry::Entry;
use crate::state::sync::{Mutex, lock};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much TLS may receive without a byte of data. rustls bounds the empty records that follow each other, and the key updates
/// that do, but not one after the other; a client that keeps to its bounds stays below half of this.
const MOST_WITHOUT_DATA: u64 = 1 << 20;

/// A stream, and its entry in the registry, which lives as long as the socket.
pub(super) struct Open<T> {
    pub(super) stream: T,
    pub(super) _entry: Entry,
}

/// One connection's stream: a handle of hyper's, or of the connection's task.
pub(super) struct Io<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    /// `None` after [`Io::take_shut_down`].
    open: Option<Open<T>>,
    connection: Arc<ConnectionState>,
    /// Bytes that were read before hyper got the stream.
    before: Vec<u8>,
    /// On HTTP/2.
    http2: Option<Http2>,
    /// What TLS had received when there was data last.
    received_below: u64,
    /// Our direction is shut down.
    is_shut: bool,
}

struct Http2 {
    /// `None`: they were too many.
    control_frames: Option<ControlFrames>,
    collected: Collected,
}

impl<T> Clone for Io<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ByteStream> Io<T> {
    pub(super) fn new(open: Open<T>, connection: Arc<ConnectionState>) -> Self {
        if T::SENDS_FILES {
            connection.slot.open();
        }
        Self(Arc::new(Mutex::new(State {
            open: Some(open),
            connection,
            before: Vec::new(),
            http2: None,
            received_below: 0,
            is_shut: false,
        })))
    }

    /// Reads until it is known whether the client begins with `preface`. The bytes are kept for hyper.
    pub(super) async fn begins_with(&mut self, preface: &[u8]) -> io::Result<bool> {
        use tokio::io::AsyncReadExt;
        let mut read = Vec::new();
        while read.len() < preface.len() && preface.starts_with(&read) {
            let mut part = (&mut *self).take((preface.len() - read.len()) as u64);
            if part.read_buf(&mut read).await? == 0 {
                break;
            }
        }
        let begins = read == preface;
        lock(&self.0).before = read;
        Ok(begins)
    }

    /// The connection speaks HTTP/2 from here on, which begins with `preface`: limits the control frames, and collects
    /// the writes. The task has to call [`poll_send`](Self::poll_send) after each poll of hyper's connection.
    pub(super) fn http2(&self, preface: &[u8]) {
        let mut state = lock(&self.0);
        let max = state.connection.server.limits.max_control_frames;
        let ahead = preface.len() - state.before.len();
        let max_collected = state.connection.server.limits.buffer_size;
        state.http2 = Some(Http2 {
            control_frames: Some(ControlFrames::new(max, ahead)),
            collected: Collected::new(max_collected),
        });
    }

    /// Sends what was collected: to be called after each poll of hyper's connection. `is_pending` tells how that ended.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, is_pending: bool) -> Poll<io::Result<()>> {
        let mut state = lock(&self.0);
        let more_follows = is_pending && state.connection.activity.in_flight() > 0;
        if let Some(http2) = &mut state.http2
            && more_follows
        {
            ready!(http2.collected.poll_wait(cx));
        }
        state.poll_send(cx)
    }

    /// The stream, if hyper has shut our direction down. An upgraded connection is the program's.
    pub(super) fn take_shut_down(&self) -> Option<Open<T>> {
        let mut state = lock(&self.0);
        match state.is_shut && !state.connection.activity.is_upgraded() {
            true => state.open.take(),
            false => None,
        }
    }
}

impl<T> Drop for State<T> {
    fn drop(&mut self) {
        self.connection.slot.close();
    }
}

impl<T: ByteStream> State<T> {
    fn stream(&mut self) -> io::Result<Pin<&mut T>> {
        let open = self.open.as_mut().ok_or(ErrorKind::NotConnected)?;
        Ok(Pin::new(&mut open.stream))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let part = self.before.len().min(buf.remaining());
            buf.put_slice(&self.before[..part]);
            self.before.drain(..part);
            return Poll::Ready(Ok(()));
        }
        let filled = buf.filled().len();
        let mut stream = self.stream()?;
        let polled = stream.as_mut().poll_read(cx, buf);
        let below = stream.received_below();
        let read = &buf.filled()[filled..];
        if !read.is_empty() {
            self.received_below = below;
            self.connection.activity.received();
        } else if below - self.received_below > MOST_WITHOUT_DATA {
            self.connection.limit(LimitReason::ControlFrames);
            return Poll::Ready(Err(io::Error::new(
                ErrorKind::QuotaExceeded,
                "hangup: the client sends too many TLS records without data",
            )));
        }
        ready!(polled)?;
        if let Some(http2) = &mut self.http2
            && let Some(frames) = &mut http2.control_frames
            && !frames.receive(read, &self.connection.earned_frames)
        {
            http2.control_frames = None;
            self.connection.limit(LimitReason::ControlFrames);
            return Poll::Ready(Err(io::Error::new(
                ErrorKind::QuotaExceeded,
                "hangup: the client sends too many HTTP/2 control frames",
            )));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.http2.is_some() {
            let mut collected = self.collect(bufs);
            if collected.is_none() {
                ready!(self.poll_send(cx))?;
                collected = self.collect(bufs);
            }
            if let Some(length) = collected {
                return Poll::Ready(Ok(length));
            }
        }
        let open = self.open.as_mut().ok_or(ErrorKind::NotConnected)?;
        let slot = &self.connection.slot;
        let written = slot.poll_write(&mut open.stream, cx, bufs);
        if written.is_pending() {
            self.connection.activity.blocked();
        }
        written
    }

    /// The length of `bufs` if they were collected.
    fn collect(&mut self, bufs: &[IoSlice<'_>]) -> Option<usize> {
        self.http2.as_mut()?.collected.add(bufs)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(http2) = &mut self.http2 {
            http2.collected.flush();
            return Poll::Ready(Ok(()));
        }
        self.connection.slot.flushed();
        let flushed = self.stream()?.poll_flush(cx);
        self.flushed(&flushed);
        flushed
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (Some(http2), Some(open)) = (&mut self.http2, &mut self.open) else {
            return Poll::Ready(Ok(()));
        };
        if http2.collected.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let sent = http2.collected.poll_send(&mut open.stream, cx);
        self.flushed(&sent);
        sent
    }

    fn flushed(&self, flushed: &Poll<io::Result<()>>) {
        match flushed {
            // hyper has nothing left to write when it flushes.
            Poll::Ready(_) => self.connection.activity.sent(),
            Poll::Pending => self.connection.activity.blocked(),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        if !self.is_shut {
            ready!(self.stream()?.poll_shutdown(cx))?;
            self.is_shut = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: ByteStream> AsyncRead for Io<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        lock(&self.0).poll_read(cx, buf)
    }
}

impl<T: ByteStream> AsyncWrite for Io<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        lock(&self.0).poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        lock(&self.0).poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        T::SENDS_FILES || {
            let state = lock(&self.0);
            let open = state.open.as_ref();
            state.http2.is_some() || open.is_some_and(|open| open.stream.is_write_vectored())
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.0).poll_shutdown(cx)
    }
}
