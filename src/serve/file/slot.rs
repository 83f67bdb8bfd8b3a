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
//! 4. A placeholder at any other time is an error.

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
        self.socket.load(Relaxed) && self.http1.load(Relaxed)
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
    use crate::serve::file::placeholder::REGION;

    fn source(length: u64) -> Source {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/CHANGELOG.md");
        // From here on it is in the page cache.
        std::fs::read(path).unwrap();
        let file = std::fs::File::open(path).unwrap();
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

    /// A socket that writes down what it is given.
    struct Socket {
        calls: Vec<String>,
        /// How much one sendfile(2) takes.
        room: usize,
    }

    impl Default for Socket {
        fn default() -> Self {
            Self {
                calls: Vec::new(),
                room: 200,
            }
        }
    }

    impl Socket {
        fn wrote(&mut self, how: &str, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.calls
                .push(format!("{how} {}", String::from_utf8_lossy(bytes)));
            Poll::Ready(Ok(bytes.len()))
        }
    }

    impl tokio::io::AsyncRead for Socket {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl tokio::io::AsyncWrite for Socket {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.wrote("write", bytes)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl ByteStream for Socket {
        const SENDS_FILES: bool = true;

        fn poll_write_more(
            &mut self,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.wrote("more", bytes)
        }

        fn poll_send_file(
            &mut self,
            _: &mut Context<'_>,
            _: &std::fs::File,
            at: u64,
            length: usize,
        ) -> Poll<io::Result<usize>> {
            self.calls.push(format!("file {at} {length}"));
            Poll::Ready(Ok(length.min(self.room)))
        }

        fn cork(&mut self, cork: bool) {
            self.calls.push(format!("cork {cork}"));
        }
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\n";

    fn write(slot: &Slot, socket: &mut Socket, bytes: &[u8]) -> io::Result<usize> {
        let cx = &mut Context::from_waker(Waker::noop());
        match slot.poll_write(socket, cx, &[IoSlice::new(bytes)]) {
            Poll::Ready(written) => written,
            Poll::Pending => panic!("it never waits"),
        }
    }

    /// A slot whose body was told to yield placeholders.
    fn armed(socket: &mut Socket) -> Slot {
        let (slot, cx) = (Slot::default(), &Context::from_waker(Waker::noop()));
        assert!(matches!(slot.ask(source(300), cx), Answer::Wait));
        assert_eq!(write(&slot, socket, HEAD.as_bytes()).unwrap(), HEAD.len());
        assert!(matches!(slot.answer(cx), Answer::Wait));
        slot.flushed();
        assert!(matches!(slot.answer(cx), Answer::Placeholders));
        slot
    }

    #[test]
    fn the_file_takes_the_placeholders_place() {
        let mut socket = Socket::default();
        let slot = armed(&mut socket);
        let placeholder = Placeholder::bytes(0, 300);
        assert_eq!(write(&slot, &mut socket, &placeholder).unwrap(), 200);
        assert_eq!(write(&slot, &mut socket, &placeholder[200..]).unwrap(), 100);
        assert_eq!(write(&slot, &mut socket, b"the next response").unwrap(), 17);
        let head = format!("more {HEAD}");
        let calls = [
            &*head,
            "file 0 300",
            "file 200 100",
            "write the next response",
        ];
        assert_eq!(socket.calls, calls);
    }

    /// A file that takes several calls leaves in full packets.
    #[test]
    fn a_large_file_is_corked() {
        let mut file = tempfile::tempfile().unwrap();
        let length = REGION as u64 + 7;
        io::Write::write_all(&mut file, &vec![7; REGION + 7]).unwrap();
        let mut source = Source::new(std::sync::Arc::new(file), 0, length);
        let mut socket = Socket {
            room: REGION - 1,
            ..Socket::default()
        };
        let cx = &mut Context::from_waker(Waker::noop());
        while !source.is_sent() {
            let left = usize::try_from(source.left()).unwrap();
            assert!(matches!(
                source.poll_send(&mut socket, cx, left),
                Poll::Ready(Ok(_))
            ));
        }
        let last = REGION - 1;
        let calls = [
            "cork true".to_owned(),
            format!("file 0 {REGION}"),
            // The page cache was asked up to there.
            format!("file {last} 1"),
            format!("file {REGION} 7"),
            "cork false".to_owned(),
        ];
        assert_eq!(socket.calls, calls);
    }

    #[test]
    fn nothing_else_takes_their_place() {
        let placeholder = Placeholder::bytes(0, 300);
        let wrong: [&[u8]; 4] = [
            b"other bytes",
            &[0; 300],
            &placeholder[1..],
            b"HTTP/1.1 200 OK",
        ];
        for bytes in wrong {
            let mut socket = Socket::default();
            let slot = armed(&mut socket);
            assert!(write(&slot, &mut socket, bytes).is_err());
            assert_eq!(socket.calls.len(), 1, "only the head is sent");
        }
        let (slot, mut socket) = (Slot::default(), Socket::default());
        assert!(
            write(&slot, &mut socket, &placeholder).is_err(),
            "nobody has asked"
        );
    }

    #[test]
    fn a_body_that_does_not_fit_is_read() {
        let cx = &Context::from_waker(Waker::noop());
        for head in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n",
            "a body's end",
        ] {
            let (slot, mut socket) = (Slot::default(), Socket::default());
            assert!(matches!(slot.ask(source(300), cx), Answer::Wait));
            write(&slot, &mut socket, head.as_bytes()).unwrap();
            slot.flushed();
            assert!(matches!(slot.answer(cx), Answer::Read), "{head}");
            assert_eq!(write(&slot, &mut socket, b"bytes").unwrap(), 5);
        }
        let slot = Slot::default();
        assert!(matches!(slot.ask(source(300), cx), Answer::Wait));
        assert!(
            matches!(slot.ask(source(300), cx), Answer::Read),
            "one at a time"
        );
        slot.withdraw();
        assert!(matches!(slot.ask(source(300), cx), Answer::Wait));
    }
}
