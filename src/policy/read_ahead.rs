//! Reads input ahead into a buffer, so that a FIN behind it can arrive and be detected.

use crate::observe::call_foreign;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncRead, ReadBuf};

/// How much input is read ahead in search of the meaning of a FIN behind it.
const LOOKAHEAD: usize = 64 * 1024;

/// How much one read moves. The buffer is on the stack.
const CHUNK: usize = 8 * 1024;

/// The read-ahead buffer of one stream.
pub(crate) struct ReadAhead<S> {
    limit: usize,
    /// Whether to look for the meaning of a FIN behind the input.
    looks: bool,
    /// The `poll_read` of the wrapped stream. Writes fill the buffer, and their bounds do not include `AsyncRead`.
    poll_read: PollRead<S>,
    /// The input, in its order; never more than `limit`, or than [`LOOKAHEAD`] before a FIN.
    input: VecDeque<u8>,
    /// The error behind the input. The read after the last input returns it.
    error: Option<io::Error>,
    /// The input has ended: there is nothing more to move.
    ended: bool,
    /// The task whose read is pending. A wrapped stream keeps one waker for reads, and a read of ours
    /// must not take its place.
    reader: Option<Waker>,
    /// The task whose write, flush or shutdown has read ahead, until that call is done.
    writer: Option<Waker>,
}

/// Wakes the task whose read is pending, and the one whose write has read ahead: that read may have been given up, and then
/// only the write takes more input.
struct Both {
    reader: Waker,
    writer: Waker,
}

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        call_foreign(|| self.reader.wake_by_ref());
        call_foreign(|| self.writer.wake_by_ref());
    }
}

// A read of the wrapped stream that panics leaves the buffer as it was before it.
impl<S> UnwindSafe for ReadAhead<S> {}
impl<S> RefUnwindSafe for ReadAhead<S> {}

type PollRead<S> = fn(Pin<&mut S>, &mut Context<'_>, &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

impl<S: AsyncRead> ReadAhead<S> {
    pub(crate) fn new(limit: usize, looks: bool) -> Self {
        Self {
            limit,
            looks,
            poll_read: S::poll_read,
            input: VecDeque::new(),
            error: None,
            ended: false,
            reader: None,
            writer: None,
        }
    }
}

impl<S> ReadAhead<S> {
    /// How much input a write, flush or shutdown may move into the buffer.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The same limit while a FIN waits; `None` if the meaning of a FIN is not looked for.
    pub(crate) fn lookahead(&self) -> Option<usize> {
        self.looks.then_some(self.limit.max(LOOKAHEAD))
    }

    /// Moves input of `io` into the buffer until none is left or `limit` is reached. Returns the end of the input if it was
    /// found.
    pub(crate) fn fill(
        &mut self,
        limit: usize,
        mut io: Pin<&mut S>,
        cx: &Context<'_>,
    ) -> Option<io::Result<()>> {
        if self.ended {
            return None;
        }
        let writer = cx.waker();
        let same = { self.writer.as_ref() }.is_some_and(|old| old.will_wake(writer));
        if !same {
            self.writer = Some(writer.clone());
        }
        if self.input.len() >= limit {
            return None;
        }
        let both = self.reader.as_ref().and_then(|reader| self.both(reader));
        let mut cx = Context::from_waker(both.as_ref().unwrap_or(writer));
        while !self.ended && self.input.len() < limit {
            let room = CHUNK.min(limit - self.input.len());
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk[..room]);
            match (self.poll_read)(io.as_mut(), &mut cx, &mut chunk) {
                Poll::Pending => return None,
                Poll::Ready(Err(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
                {
                    return None;
                }
                Poll::Ready(read) => {
                    self.ended = read.is_err() || chunk.filled().is_empty();
                    if !self.ended {
                        self.input.extend(chunk.filled());
                    }
                    // This read has consumed the registration of the parked reader, so the reader is woken. Its waker is
                    // foreign code and may panic.
                    if let Some(reader) = self.reader.take() {
                        call_foreign(|| reader.wake());
                    }
                    if self.ended {
                        return Some(read);
                    }
                }
            }
        }
        None
    }

    /// The waker for a read of the wrapped stream by the task of `reader`, while a write has read ahead. `None` if one waker is enough.
    pub(crate) fn both(&self, reader: &Waker) -> Option<Waker> {
        let writer = { self.writer.as_ref() }.filter(|writer| !writer.will_wake(reader))?;
        Some(Waker::from(Arc::new(Both {
            reader: reader.clone(),
            writer: writer.clone(),
        })))
    }

    /// The write, flush or shutdown is done.
    pub(crate) fn written(&mut self) {
        self.writer = None;
    }

    /// The task whose write, flush or shutdown has read ahead.
    pub(crate) fn writer(&self) -> Option<Waker> {
        self.writer.clone()
    }

    /// The task whose read is pending.
    pub(crate) fn reader(&self) -> Option<Waker> {
        self.reader.clone()
    }

    /// Keeps `error` for the read that has read all of the input.
    pub(crate) fn fail(&mut self, error: io::Error) {
        self.error = Some(error);
    }

    /// Serves a read from the buffer: the input, and after it the stored error. `None` if the read has to go to the
    /// wrapped stream.
    pub(crate) fn read(&mut self, buf: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        if buf.remaining() == 0 {
            return None;
        }
        if self.input.is_empty() {
            return self.error.take().map(Err);
        }
        let bytes = buf.remaining().min(self.input.len());
        let (first, second) = self.input.as_slices();
        let first = &first[..first.len().min(bytes)];
        buf.put_slice(first);
        buf.put_slice(&second[..bytes - first.len()]);
        self.input.drain(..bytes);
        // There is room again, and this may be the last read for long.
        if let Some(writer) = self.writer.take() {
            call_foreign(|| writer.wake());
        }
        if self.input.is_empty() {
            // An idle connection must not keep the memory of one burst.
            self.input = VecDeque::new();
        }
        Some(Ok(()))
    }

    /// Whether the buffer has input or an error for the next read.
    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty() || self.error.is_some()
    }

    /// Whether the buffer has input that only a look for the meaning of a FIN has moved here. A program that has set a
    /// limit wants to be stopped in spite of such input.
    pub(crate) fn hides_input(&self) -> bool {
        self.limit == 0 && !self.input.is_empty()
    }

    /// Copies the input into `buf` and leaves it here. The stored error is taken, as the system's peek takes that of a socket.
    pub(crate) fn peek(&mut self, buf: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        if self.input.is_empty() {
            return self.error.take().map(Err);
        }
        let (first, second) = self.input.as_slices();
        for part in [first, second] {
            buf.put_slice(&part[..part.len().min(buf.remaining())]);
        }
        Some(Ok(()))
    }

    /// Stores the task whose read is pending, or that none is.
    pub(crate) fn park(&mut self, reader: Option<&Waker>) {
        match (&mut self.reader, reader) {
            (Some(parked), Some(reader)) => parked.clone_from(reader),
            (parked, reader) => *parked = reader.cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// The second read would bring more than there is room for.
    #[test]
    fn no_read_goes_beyond_the_limit() {
        let mut io = AsyncReadExt::chain(&[1; 60][..], &[2; 60][..]);
        let mut ahead = ReadAhead::new(100, false);
        let cx = Context::from_waker(Waker::noop());
        assert!(ahead.fill(100, Pin::new(&mut io), &cx).is_none());
        assert_eq!(ahead.input.len(), 100);
    }

    /// A stream may have given the input to the read ahead alone: its reader hears of it from nobody else.
    #[test]
    fn a_parked_reader_is_woken_for_input_that_is_read_ahead() {
        let (reader, woken) = futures_test::task::new_count_waker();
        let mut ahead = ReadAhead::new(10, false);
        ahead.park(Some(&reader));
        let mut io = &[1; 10][..];
        let cx = Context::from_waker(Waker::noop());
        assert!(ahead.fill(10, Pin::new(&mut io), &cx).is_none());
        assert!(ahead.has_input());
        assert_eq!(woken.get(), 1);
    }

    /// A task whose write is done waits for nothing.
    #[test]
    fn a_write_that_is_done_is_not_woken() {
        let (writer, woken) = futures_test::task::new_count_waker();
        let mut ahead = ReadAhead::new(10, false);
        let mut io = &[1; 10][..];
        let cx = Context::from_waker(&writer);
        assert!(ahead.fill(10, Pin::new(&mut io), &cx).is_none());
        ahead.written();
        assert!(ahead.both(Waker::noop()).is_none());
        let mut read = [0; 10];
        ahead.read(&mut ReadBuf::new(&mut read)).unwrap().unwrap();
        assert_eq!((read, woken.get()), ([1; 10], 0));
    }

    /// An error behind the input is for the next read, and an idle connection keeps no memory of a burst.
    #[test]
    fn what_is_left_when_all_is_read() {
        let mut ahead = ReadAhead::new(10, false);
        let mut io = &[1; 10][..];
        let cx = Context::from_waker(Waker::noop());
        assert!(ahead.fill(10, Pin::new(&mut io), &cx).is_none());
        ahead.fail(ErrorKind::ConnectionReset.into());
        let mut read = [0; 10];
        ahead.read(&mut ReadBuf::new(&mut read)).unwrap().unwrap();
        assert_eq!(ahead.input.capacity(), 0);
        assert!(ahead.has_input());
        let error = ahead.read(&mut ReadBuf::new(&mut read)).unwrap();
        assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(!ahead.has_input());
    }
}
