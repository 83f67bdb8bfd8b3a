//! The small writes of HTTP/2, which leave together.
//!
//! h2 writes each DATA frame on its own, and flushes after it. Here the frames of many streams are collected, and take one
//! system call, and over TLS full records.

use super::byte_stream::ByteStream;
use bytes::{Buf, BytesMut};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// More than this at a time saves nothing.
const MOST: usize = 64 << 10;

/// What h2 has written, and the stream has not.
pub(super) struct Collected {
    bytes: BytesMut,
    max: usize,
    /// h2 has flushed.
    flush: bool,
    /// The other tasks have had their turn.
    waited: bool,
}

impl Collected {
    /// Collects up to `max` bytes, and up to 64 KiB.
    pub(super) fn new(max: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            max: max.min(MOST),
            flush: false,
            waited: false,
        }
    }

    /// Adds a write, and returns its length. `None` if there is no room.
    pub(super) fn add(&mut self, bufs: &[IoSlice<'_>]) -> Option<usize> {
        let length: usize = bufs.iter().map(|buf| buf.len()).sum();
        if self.bytes.len().saturating_add(length) > self.max {
            return None;
        }
        self.bytes.reserve(length);
        for buf in bufs {
            self.bytes.extend_from_slice(buf);
        }
        Some(length)
    }

    /// h2 wants the stream to be flushed.
    pub(super) fn flush(&mut self) {
        self.flush = true;
    }

    /// Whether there is nothing to send or to flush.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.flush
    }

    /// Waits once for the tasks of other streams, which may write too, if there is something to send. h2 flushes at each of its
    /// polls, also if it has written nothing.
    pub(super) fn poll_wait(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.bytes.is_empty() || self.waited {
            return Poll::Ready(());
        }
        self.waited = true;
        // The runtime polls the tasks that are ready before it polls this one again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends all, and flushes the stream if h2 wants it.
    pub(super) fn poll_send<T: ByteStream>(
        &mut self,
        stream: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(stream);
        while !self.bytes.is_empty() {
            match ready!(stream.as_mut().poll_write(cx, &self.bytes))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => self.bytes.advance(written),
            }
        }
        // An idle connection needs no buffer.
        self.bytes = BytesMut::new();
        if self.flush {
            ready!(stream.poll_flush(cx))?;
            self.flush = false;
        }
        self.waited = false;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_test::io::{Builder, Mock};
    use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};

    impl ByteStream for Mock {}

    #[test]
    fn only_what_has_room_is_added() {
        let mut collected = Collected::new(10);
        let bufs = [IoSlice::new(b"1234"), IoSlice::new(b"567")];
        assert_eq!(collected.add(&bufs), Some(7));
        assert_eq!(collected.add(&bufs), None);
        assert_eq!(collected.add(&bufs[1..]), Some(3));
        assert_eq!(&collected.bytes[..], b"1234567567");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_takes_parts() {
        let second = std::time::Duration::from_secs(1);
        let mut stream = Builder::new()
            .write(b"12")
            .wait(second)
            .write(b"345")
            .build();
        let mut collected = Collected::new(10);
        collected.add(&[IoSlice::new(b"12345")]);
        let mut send = task::spawn(std::future::poll_fn(|cx| {
            collected.poll_send(&mut stream, cx)
        }));
        assert_pending!(send.poll());
        tokio::time::sleep(2 * second).await;
        assert!(send.is_woken());
        assert_ready_ok!(send.poll());
        drop(send);
        assert!(collected.is_empty());
        assert_eq!(
            collected.bytes.capacity(),
            0,
            "an idle connection has no buffer"
        );
    }

    #[tokio::test]
    async fn a_stream_that_fails() {
        let mut stream = Builder::new()
            .write_error(ErrorKind::ConnectionReset.into())
            .build();
        let mut collected = Collected::new(10);
        collected.add(&[IoSlice::new(b"1")]);
        let mut send = task::spawn(std::future::poll_fn(|cx| {
            collected.poll_send(&mut stream, cx)
        }));
        let error = assert_ready_err!(send.poll());
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn the_others_have_one_turn_for_each_sending() {
        let mut stream = Builder::new().write(b"1").write(b"2").build();
        let mut collected = Collected::new(10);
        for bytes in [b"1", b"2"] {
            assert!(
                task::spawn(())
                    .enter(|cx, _| collected.poll_wait(cx))
                    .is_ready()
            );
            collected.add(&[IoSlice::new(bytes)]);
            let mut waiting = task::spawn(());
            assert_pending!(waiting.enter(|cx, _| collected.poll_wait(cx)));
            assert!(waiting.is_woken());
            assert!(waiting.enter(|cx, _| collected.poll_wait(cx)).is_ready());
            assert_ready_ok!(waiting.enter(|cx, _| collected.poll_send(&mut stream, cx)));
        }
    }

    /// Each frame of an upload had the connection polled twice.
    #[test]
    fn a_flush_without_bytes_does_not_wait() {
        let mut collected = Collected::new(10);
        collected.flush();
        let mut waiting = task::spawn(());
        assert!(waiting.enter(|cx, _| collected.poll_wait(cx)).is_ready());
        assert!(!waiting.is_woken());
    }
}
