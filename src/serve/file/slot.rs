//! The way of a file into the socket, below hyper.
//!
//! hyper has no way to say "send this file", so a body says it behind hyper's back, and hyper only sees bytes:
//!
//! 1. A [`FileBody`](super::FileBody) asks here, at its first poll, and is pending. hyper has encoded the
//!    response's head just before, and now flushes it.
//! 2. The head passes through [`poll_write`](Slot::poll_write), which keeps a copy. At the flush
//!    [`flushed`](Slot::flushed) looks at it: one head, with the content-length that the file has, and without
//!    a transfer-encoding. Then the way is free; otherwise the body is told so, and reads the file.
//! 3. The body yields placeholders: slices of one static region, of the lengths of the file's parts. hyper
//!    writes them, and here they are recognized by their address, and sendfile(2) takes their place.
//!
//! # Never a wrong byte
//!
//! 1. A body asks only while it is polled by hyper's own poll of the response's body (see
//!    [`Polling`](super::polling::Polling)), which comes after the head of this very response. So a body that a
//!    middleware collects, or polls in another task, is read.
//! 2. Once the way is free, only placeholders pass until the file is sent. Anything else is an error, which
//!    ends the connection.
//! 3. A placeholder's address says where in the file it stands (modulo the region's size): one that was dropped,
//!    repeated, or moved by a middleware is an error.
//! 4. A placeholder that comes at any other time is an error.

use super::head;
use super::placeholder::Placeholder;
use super::source::Source;
use crate::serve::byte_stream::ByteStream;
use crate::state::sync::{Mutex, lock};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};

/// The longest head that is kept to be looked at.
const LONGEST_HEAD: usize = 16 << 10;

/// One connection's way of files into the socket.
#[derive(Default)]
pub(in crate::serve) struct Slot {
    /// The socket takes files.
    socket: AtomicBool,
    /// HTTP/1 is spoken: a body is what it is on the wire.
    http1: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    /// A body waits for the flush of its head.
    Asked {
        source: Source,
        waker: Waker,
        head: Vec<u8>,
    },
    /// The body is to read the file: it has not asked again yet.
    Refused,
    /// Placeholders come, and the file goes.
    Armed(Source),
}

/// What a body is to do.
pub(in crate::serve) enum Answer {
    Wait,
    /// Yield placeholders.
    Placeholders,
    /// Read the file.
    Read,
}

impl Slot {
    /// The socket takes files.
    pub(in crate::serve) fn open(&self) {
        self.socket.store(true, Relaxed);
    }

    /// HTTP/1 is spoken.
    pub(in crate::serve) fn http1(&self) {
        self.http1.store(true, Relaxed);
    }

    pub(super) fn is_open(&self) -> bool {
        self.socket.load(Relaxed) && self.http1.load(Relaxed)
    }

    /// Asks for the way of `source`, whose body is being polled by hyper.
    pub(super) fn ask(&self, source: Source, cx: &Context<'_>) -> Answer {
        let mut state = lock(&self.state);
        // The body before was dropped half-way, and hyper should have ended the connection for it.
        if !matches!(*state, State::Idle) {
            return Answer::Read;
        }
        *state = State::Asked {
            source,
            waker: cx.waker().clone(),
            head: Vec::with_capacity(512),
        };
        Answer::Wait
    }

    /// What became of the question.
    pub(super) fn answer(&self, cx: &Context<'_>) -> Answer {
        let mut state = lock(&self.state);
        match &mut *state {
            State::Asked { waker, .. } => {
                waker.clone_from(cx.waker());
                Answer::Wait
            }
            State::Armed(_) => Answer::Placeholders,
            State::Refused | State::Idle => {
                *state = State::Idle;
                Answer::Read
            }
        }
    }

    /// The body is dropped without an answer.
    pub(super) fn withdraw(&self) {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Armed(_)) {
            *state = State::Idle;
        }
    }

    /// A write of hyper's.
    pub(in crate::serve) fn poll_write<T: ByteStream>(
        &self,
        stream: &mut T,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.state);
        match &mut *state {
            State::Idle | State::Refused => {
                drop(state);
                if bufs.iter().any(|buf| Placeholder::of(buf).is_some()) {
                    return Poll::Ready(Err(changed()));
                }
                match bufs {
                    [buf] => Pin::new(stream).poll_write(cx, buf),
                    bufs => Pin::new(stream).poll_write_vectored(cx, bufs),
                }
            }
            State::Asked { head, waker, .. } => {
                if bufs.iter().any(|buf| Placeholder::of(buf).is_some()) {
                    return Poll::Ready(Err(changed()));
                }
                let Some(buf) = bufs.iter().find(|buf| !buf.is_empty()) else {
                    return Poll::Ready(Ok(0));
                };
                // The file comes next, in the same segment.
                let written = ready!(stream.poll_write_more(cx, buf))?;
                head.extend_from_slice(&buf[..written]);
                if head.len() > LONGEST_HEAD {
                    waker.wake_by_ref();
                    *state = State::Refused;
                }
                Poll::Ready(Ok(written))
            }
            State::Armed(source) => {
                let length = expected(bufs, source)?;
                if length == 0 {
                    return Poll::Ready(Ok(0));
                }
                let sent = ready!(source.poll_send(stream, cx, length))?;
                if source.is_sent() {
                    *state = State::Idle;
                }
                Poll::Ready(Ok(sent))
            }
        }
    }

    /// hyper has written all that it has: the head of a response, if a body waits for it.
    pub(in crate::serve) fn flushed(&self) {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Asked { .. }) {
            return;
        }
        let State::Asked {
            source,
            waker,
            head,
        } = std::mem::take(&mut *state)
        else {
            return;
        };
        *state = match head::announces(&head, source.left()) {
            true => State::Armed(source),
            false => State::Refused,
        };
        drop(state);
        waker.wake();
    }
}

/// How many bytes of the file `bufs` stand for, which are to begin with its next one.
fn expected(bufs: &[IoSlice<'_>], source: &Source) -> io::Result<usize> {
    let mut length = 0;
    for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
        let next = source.sent() + length as u64;
        match Placeholder::of(buf) {
            Some(placeholder) if placeholder.stands_at(next) => length += buf.len(),
            None if length > 0 && next == source.length() => break,
            _ => return Err(changed()),
        }
    }
    match length as u64 <= source.left() {
        true => Ok(length),
        false => Err(changed()),
    }
}

fn changed() -> io::Error {
    io::Error::other("hangup: a file's body was changed on its way to the connection")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(length: u64) -> Source {
        let file = std::fs::File::open("Cargo.toml").unwrap();
        Source::new(std::sync::Arc::new(file), 0, length)
    }

    #[test]
    fn only_the_files_own_placeholders_in_order_are_expected() {
        let source = source(300);
        let whole = Placeholder::bytes(0, 300);
        let slice = |range: std::ops::Range<usize>| IoSlice::new(&whole[range]);
        assert_eq!(expected(&[slice(0..300)], &source).unwrap(), 300);
        assert_eq!(
            expected(&[slice(0..100), slice(100..300)], &source).unwrap(),
            300
        );
        assert_eq!(
            expected(&[slice(0..300), IoSlice::new(b"HTTP")], &source).unwrap(),
            300
        );
        for (bufs, what) in [
            (vec![slice(1..300)], "the first byte is missing"),
            (vec![slice(100..300), slice(0..100)], "another order"),
            (vec![slice(0..100), slice(0..200)], "a part comes twice"),
            (
                vec![slice(0..100), IoSlice::new(b"x")],
                "something else between",
            ),
            (
                vec![IoSlice::new(b"x"), slice(0..300)],
                "something else first",
            ),
            (vec![IoSlice::new(&[0; 300])], "a copy"),
        ] {
            assert!(expected(&bufs, &source).is_err(), "{what}");
        }
        let longer = Placeholder::bytes(0, 301);
        assert!(
            expected(&[IoSlice::new(&longer)], &source).is_err(),
            "more than the file"
        );
    }
}
