//! One direction of a copy between two streams.

use super::spare_buffer;
use crate::errors::CloseReason;
use crate::stream::MonitoredStream;
use std::io::{self, ErrorKind};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How the input of a direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Error,
}

/// One of the two directions.
pub(super) struct Direction {
    size: usize,
    /// Empty while the direction holds no data and waits for some.
    buffer: Box<[u8]>,
    /// `buffer[start..end]` is read and not accepted yet.
    start: usize,
    end: usize,
    /// Something was accepted since the last flush.
    unflushed: bool,
    input: Option<End>,
    pub(super) done: bool,
}

impl Direction {
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            buffer: Box::default(),
            start: 0,
            end: 0,
            unflushed: false,
            input: None,
            done: false,
        }
    }

    fn put_buffer_back(&mut self) {
        spare_buffer::put_back(mem::take(&mut self.buffer));
    }

    /// Whether it is done, and its input ended with a FIN: the stream that it has read from may be half-closed.
    pub(super) fn ended_by_fin(&self) -> bool {
        self.done && self.input == Some(End::Fin)
    }

    /// Copies as far as possible without waiting.
    pub(super) fn poll<X, Y>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut MonitoredStream<X>,
        to: &mut MonitoredStream<Y>,
    ) where
        X: AsyncRead + Unpin,
        Y: AsyncWrite + Unpin,
    {
        // Nothing can be delivered to a closed stream.
        while !self.done && !to.is_closed() {
            match self.step(cx, from, Pin::new(to)) {
                Poll::Pending => return,
                // Usually the error has closed `to`. If not, an abort does. A stream that is closed already is not
                // aborted, because that would discard input which still has to be delivered.
                Poll::Ready(Err(error)) if error.kind() != ErrorKind::Interrupted => {
                    if !to.is_closed() {
                        to.abort();
                    }
                }
                Poll::Ready(_) => {}
            }
        }
        self.done = true;
    }

    /// One read and the writes of its data, or the end of the direction. An error is an error of `to`.
    fn step<X, Y>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut MonitoredStream<X>,
        mut to: Pin<&mut MonitoredStream<Y>>,
    ) -> Poll<io::Result<()>>
    where
        X: AsyncRead + Unpin,
        Y: AsyncWrite + Unpin,
    {
        if self.input.is_none() && self.end < self.size {
            let filled = self.fill(cx, from);
            // While the read is pending, the data of earlier reads can be written.
            if filled.is_pending() && self.start == self.end {
                self.put_buffer_back();
                if self.unflushed {
                    ready!(to.poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
        while self.start < self.end {
            let rest = &self.buffer[self.start..self.end];
            match ready!(to.as_mut().poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                accepted => self.start += accepted,
            }
            self.unflushed = true;
        }
        (self.start, self.end) = (0, 0);
        match self.input {
            None => {}
            Some(End::Fin) => {
                ready!(to.poll_shutdown(cx))?;
                self.done = true;
            }
            Some(End::Error) => {
                ready!(to.poll_flush(cx))?;
                self.done = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// One read.
    fn fill<X: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut MonitoredStream<X>,
    ) -> Poll<()> {
        if self.buffer.is_empty() {
            self.buffer = spare_buffer::take(self.size);
        }
        let mut room = ReadBuf::new(&mut self.buffer[self.end..]);
        match ready!(Pin::new(&mut *from).poll_read(cx, &mut room)) {
            Ok(()) if room.filled().is_empty() => self.input = Some(end_of_file(from)),
            Ok(()) => self.end += room.filled().len(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.input = Some(End::Error),
        }
        Poll::Ready(())
    }
}

/// What an end of file means. The system tells an error of the connection once: if a write was given it, reads find the end.
fn end_of_file<X>(from: &MonitoredStream<X>) -> End {
    match from.close_reason() {
        None | Some(CloseReason::PeerClosed | CloseReason::Finished) => End::Fin,
        Some(_) if from.has_peer_finished() => End::Fin,
        Some(_) => End::Error,
    }
}

impl Drop for Direction {
    fn drop(&mut self) {
        self.put_buffer_back();
    }
}
