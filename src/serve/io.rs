//! The I/O of a connection, as hyper sees it.
//!
//! It adds five things to the stream: reads and writes count as activity, the control frames of HTTP/2 and the records of TLS
//! without data have a limit, the placeholders of a file are replaced by the file, and the stream comes back when hyper has
//! shut it down.

use super::LimitReason;
use super::byte_stream::ByteStream;
use super::connection::ConnectionState;
use super::control_frames::ControlFrames;
use super::shut_down::{Open, ShutDown};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much TLS may receive without a byte of data. rustls bounds the empty records that follow each other, and the key updates
/// that do, but not one after the other; a client that keeps to its bounds stays below half of this.
const MOST_WITHOUT_DATA: u64 = 1 << 20;

/// One connection's stream.
pub(super) struct Io<T> {
    /// `None` only while it is dropped.
    open: Option<Open<T>>,
    connection: Arc<ConnectionState>,
    /// Bytes that were read before hyper got the stream.
    before: Vec<u8>,
    /// On HTTP/2, until they are too many.
    control_frames: Option<ControlFrames>,
    /// What TLS had received when there was data last.
    received_below: u64,
    /// Our direction is shut down.
    is_shut: bool,
    shut_down: Arc<ShutDown<T>>,
}

impl<T: ByteStream> Io<T> {
    /// The stream goes to `shut_down` when hyper has shut it down and dropped it.
    pub(super) fn new(
        open: Open<T>,
        connection: Arc<ConnectionState>,
        shut_down: Arc<ShutDown<T>>,
    ) -> Self {
        if T::SENDS_FILES {
            connection.slot.open();
        }
        Self {
            open: Some(open),
            connection,
            before: Vec::new(),
            control_frames: None,
            received_below: 0,
            is_shut: false,
            shut_down,
        }
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
        self.before = read;
        Ok(begins)
    }

    /// Limits the control frames from here on: the connection speaks HTTP/2, which begins with `preface`.
    pub(super) fn limit_control_frames(&mut self, preface: &[u8]) {
        let max = self.connection.server.limits.max_control_frames;
        let ahead = preface.len() - self.before.len();
        self.control_frames = Some(ControlFrames::new(max, ahead));
    }
}

fn stream<T: Unpin>(open: &mut Option<Open<T>>) -> Pin<&mut T> {
    Pin::new(&mut open.as_mut().expect("taken at the drop").stream)
}

impl<T: ByteStream> AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.before.is_empty() {
            let part = this.before.len().min(buf.remaining());
            buf.put_slice(&this.before[..part]);
            this.before.drain(..part);
            return Poll::Ready(Ok(()));
        }
        let filled = buf.filled().len();
        let mut stream = stream(&mut this.open);
        let polled = stream.as_mut().poll_read(cx, buf);
        let below = stream.received_below();
        let read = &buf.filled()[filled..];
        if !read.is_empty() {
            this.received_below = below;
            this.connection.activity.received();
        } else if below - this.received_below > MOST_WITHOUT_DATA {
            this.connection.limit(LimitReason::ControlFrames);
            return Poll::Ready(Err(io::Error::new(
                ErrorKind::QuotaExceeded,
                "hangup: the client sends too many TLS records without data",
            )));
        }
        ready!(polled)?;
        if let Some(frames) = &mut this.control_frames
            && !frames.receive(read, &this.connection.earned_frames)
        {
            this.control_frames = None;
            this.connection.limit(LimitReason::ControlFrames);
            return Poll::Ready(Err(io::Error::new(
                ErrorKind::QuotaExceeded,
                "hangup: the client sends too many HTTP/2 control frames",
            )));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: ByteStream> AsyncWrite for Io<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let stream = &mut *stream(&mut this.open);
        let written = this.connection.slot.poll_write(stream, cx, bufs);
        if written.is_pending() {
            this.connection.activity.blocked();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        T::SENDS_FILES
            || self
                .open
                .as_ref()
                .is_some_and(|open| open.stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.connection.slot.flushed();
        let flushed = stream(&mut this.open).poll_flush(cx);
        match flushed {
            // hyper has nothing left to write when it flushes.
            Poll::Ready(_) => this.connection.activity.sent(),
            Poll::Pending => this.connection.activity.blocked(),
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.is_shut {
            ready!(stream(&mut this.open).poll_shutdown(cx))?;
            this.is_shut = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T> Drop for Io<T> {
    fn drop(&mut self) {
        // An upgraded connection is the program's, which has dropped it.
        if self.is_shut && !self.connection.activity.is_upgraded() {
            self.shut_down.put(self.open.take());
        }
    }
}
