//! The I/O of a connection, as hyper sees it.
//!
//! It adds two things to the stream: reads count as activity, and the placeholders of a file are replaced by the file.

use super::byte_stream::ByteStream;
use super::connection::ConnectionState;
use super::registry::Entry;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One connection's stream. Its entry in the registry lives as long as the socket, also after an upgrade.
pub(super) struct Io<T> {
    stream: T,
    connection: Arc<ConnectionState>,
    /// Bytes that were read before hyper got the stream.
    before: Vec<u8>,
    _entry: Entry,
}

impl<T: ByteStream> Io<T> {
    pub(super) fn new(stream: T, connection: Arc<ConnectionState>, entry: Entry) -> Self {
        if T::SENDS_FILES {
            connection.slot.open();
        }
        Self {
            stream,
            connection,
            before: Vec::new(),
            _entry: entry,
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
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if buf.filled().len() > filled {
            this.connection.activity.received();
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
        this.connection.slot.poll_write(&mut this.stream, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        T::SENDS_FILES || self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.connection.slot.flushed();
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
