//! How a file reaches the socket without passing through hyper.
//!
//! hyper's bodies can only yield bytes. So a body and the connection's I/O agree through a [`Slot`], and hyper sees
//! bytes that stand for the file:
//!
//! 1. At its first poll a [`FileBody`](super::FileBody) asks the slot, and is pending. hyper has encoded the head of the
//!    response just before, and now flushes it.
//! 2. The head passes through [`poll_write`](Slot::poll_write), which keeps a copy. At the flush,
//!    [`flushed`](Slot::flushed) checks it: exactly one head, with the length of the file as its content-length, and without
//!    a transfer-encoding. If so, the body may yield placeholders. Otherwise it reads the file.
//! 3. The body yields placeholders: slices of one static region, as long as the parts of the file. hyper writes them.
//!    The slot recognizes them by their address, and calls sendfile(2) instead.
//!
//! # Never a wrong byte
//!
//! 1. A body asks only while hyper itself polls the body of the response (see [`Polling`](super::polling::Polling)), which
//!    happens after the head of this response. So a body that a middleware collects, or polls in another task, is read.
//! 2. After the agreement only placeholders pass until the file is sent. Anything else is an error, which ends the
//!    connection.
//! 3. The address of a placeholder gives its offset in the file, modulo the size of the region. A placeholder that a
//!    middleware has dropped, repeated or moved is an error.
//! 4. A placeholder at any other time is an error; on a connection that cannot send files, already in the body of the response.

#[cfg(test)]
mod tests;

use super::head;
use super::placeholder::Placeholder;
use super::source::Source;
use crate::serve::byte_stream::ByteStream;
use crate::state::sync::{Mutex, lock};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};

/// The longest head that is kept for the check.
const LONGEST_HEAD: usize = 16 << 10;

/// The agreement between the body and the I/O of one connection.
#[derive(Default)]
pub(in crate::serve) struct Slot {
    /// Whether the socket can send files.
    socket: AtomicBool,
    /// Whether the connection speaks HTTP/1, where a body is on the wire as it is.
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
    /// The body has to read the file, and does not know it yet.
    Refused,
    /// Placeholders are replaced by the file.
    Armed(Source),
}

/// What the body has to do.
pub(in crate::serve) enum Answer {
    Wait,
    /// Yield placeholders.
    Placeholders,
    /// Read the file.
    Read,
}

impl Slot {
    /// The socket can send files.
    pub(in crate::serve) fn open(&self) {
        self.socket.store(true, Relaxed);
    }

    /// The connection speaks HTTP/1.
    pub(in crate::serve) fn http1(&self) {
        self.http1.store(true, Relaxed);
    }

    pub(super) fn is_open(&self) -> bool {
        self.socket.load(Relaxed) && self.is_http1()
    }

    /// Refuses a placeholder where the I/O could not recognize it: HTTP/2 copies small parts of a body. A middleware has kept it
    /// of a response on another connection.
    pub(in crate::serve) fn check(&self, data: &[u8]) -> io::Result<()> {
        match !self.is_open() && Placeholder::of(data).is_some() {
            true => Err(changed()),
            false => Ok(()),
        }
    }

    pub(super) fn is_http1(&self) -> bool {
        self.http1.load(Relaxed)
    }

    /// Asks whether `source` may be sent. hyper is polling its body.
    pub(super) fn ask(&self, source: Source, cx: &Context<'_>) -> Answer {
        let mut state = lock(&self.state);
        // An earlier body was dropped before its end, for which hyper should have ended the connection.
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

    /// The answer to [`ask`](Self::ask), as soon as the head is flushed.
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

    /// The connection is over: lets go of a file that was not sent to its end. The program may keep the connection's state.
    pub(in crate::serve) fn close(&self) {
        let state = std::mem::take(&mut *lock(&self.state));
        // Not under the lock: it may close the file.
        drop(state);
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
                refuse_placeholders(bufs)?;
                match bufs {
                    [buf] => Pin::new(stream).poll_write(cx, buf),
                    bufs => Pin::new(stream).poll_write_vectored(cx, bufs),
                }
            }
            State::Asked { head, waker, .. } => {
                refuse_placeholders(bufs)?;
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

/// Fails if there is a placeholder, where none may be.
fn refuse_placeholders(bufs: &[IoSlice<'_>]) -> io::Result<()> {
    match bufs.iter().any(|buf| Placeholder::of(buf).is_some()) {
        true => Err(changed()),
        false => Ok(()),
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
