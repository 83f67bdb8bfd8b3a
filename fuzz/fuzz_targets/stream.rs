//! A `MonitoredStream` over a scripted stream, beside the same scripted stream bare.
//!
//! Both are driven by the same operations, and checked after each one:
//!
//! 1. First reason wins, and all who ask are told the same.
//! 2. The close wakes every registered waker exactly once, the pending writer's too.
//! 5. Nothing that arrived is lost: reads after the close give what the bare stream gives.
//! 6. Writes after the close are refused with the reason and never reach the scripted stream; what
//!    `transfer()` says is what the script has handed out and taken.
//!    After an abort a read that would wait is refused too, and one that waits is woken.
//! 8. After our own shutdown the peer's end is the orderly one, and an abort is our own.
//! 9. The wrapper changes nothing else: every result, byte for byte, is the bare stream's.

#![no_main]

use arbitrary::Arbitrary;
use hangup::{CloseReason, Closed, HalfClose, Monitor, MonitorConfig, MonitoredStream, Status};
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Arbitrary, Debug)]
struct Input {
    half_close_allowed: bool,
    vectored: bool,
    reads: Vec<Read>,
    writes: Vec<Write>,
    flushes: Vec<Other>,
    shutdowns: Vec<Other>,
    operations: Vec<Operation>,
    /// Whether the stream is taken out of its wrapper at the end, or dropped in it.
    into_inner: bool,
}

/// What the scripted stream answers to one read. After the last one it is pending.
#[derive(Arbitrary, Clone, Debug)]
enum Read {
    /// At most so many bytes, and one.
    Bytes(u8),
    Pending,
    Fail(Failing),
    End,
}

/// What the scripted stream answers to one write. After the last one it is pending.
#[derive(Arbitrary, Clone, Debug)]
enum Write {
    /// At most so many bytes.
    Take(u8),
    Pending,
    Fail(Failing),
}

/// What the scripted stream answers to one flush or shutdown. After the last one it is done.
#[derive(Arbitrary, Clone, Debug)]
enum Other {
    Done,
    Pending,
    Fail(Failing),
}

#[derive(Arbitrary, Clone, Debug)]
enum Failing {
    Kind(Kind),
    /// As from the operating system.
    Code(Kind),
    /// With a message.
    Said(Kind),
    /// A refusal of another `MonitoredStream` further down.
    Carried(Carried),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    WouldBlock,
    Interrupted,
    BrokenPipe,
    Reset,
    Aborted,
    TimedOut,
    HostUnreachable,
    NetworkUnreachable,
    NetworkDown,
    UnexpectedEof,
    NotConnected,
    InvalidData,
    Other,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Carried {
    PeerClosed,
    Reset,
    Stalled,
    Dropped,
}

impl Kind {
    const fn kind(self) -> ErrorKind {
        match self {
            Self::WouldBlock => ErrorKind::WouldBlock,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::BrokenPipe => ErrorKind::BrokenPipe,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::Aborted => ErrorKind::ConnectionAborted,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::HostUnreachable => ErrorKind::HostUnreachable,
            Self::NetworkUnreachable => ErrorKind::NetworkUnreachable,
            Self::NetworkDown => ErrorKind::NetworkDown,
            Self::UnexpectedEof => ErrorKind::UnexpectedEof,
            Self::NotConnected => ErrorKind::NotConnected,
            Self::InvalidData => ErrorKind::InvalidData,
            Self::Other => ErrorKind::Other,
        }
    }

    /// Linux's number, where it has one that std turns into the kind.
    fn code(self) -> Option<i32> {
        Some(match self {
            Self::WouldBlock => 11,
            Self::Interrupted => 4,
            Self::BrokenPipe => 32,
            Self::Reset => 104,
            Self::Aborted => 103,
            Self::TimedOut => 110,
            Self::HostUnreachable => 113,
            Self::NetworkUnreachable => 101,
            Self::NetworkDown => 100,
            Self::NotConnected => 107,
            Self::UnexpectedEof | Self::InvalidData | Self::Other => return None,
        })
    }
}

impl Carried {
    fn reason(self) -> CloseReason {
        match self {
            Self::PeerClosed => CloseReason::PeerClosed,
            Self::Reset => CloseReason::Reset,
            Self::Stalled => CloseReason::Stalled,
            Self::Dropped => CloseReason::Dropped,
        }
    }
}

impl Failing {
    fn error(&self) -> io::Error {
        match self {
            Self::Kind(kind) => kind.kind().into(),
            Self::Code(kind) => match kind.code() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => kind.kind().into(),
            },
            Self::Said(kind) => io::Error::new(kind.kind(), "scripted"),
            Self::Carried(carried) => carried.reason().into(),
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Operation {
    /// `filled` bytes are in the buffer before the call, `room` is left.
    Read {
        filled: u8,
        room: u8,
        waker: u8,
    },
    Write {
        length: u8,
        waker: u8,
    },
    WriteVectored {
        lengths: [u8; 3],
        waker: u8,
    },
    Flush {
        waker: u8,
    },
    Shutdown {
        waker: u8,
    },
    NewClosed,
    PollClosed {
        index: u8,
        waker: u8,
    },
    DropClosed {
        index: u8,
    },
    /// From a monitor, or from the stream.
    Abort {
        from_monitor: bool,
    },
}

/// The byte at a place of the input or of the output: a lost, doubled or moved one shows.
fn byte(place: u64) -> u8 {
    (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

#[derive(Clone, Debug)]
struct Scripted {
    vectored: bool,
    reads: VecDeque<Read>,
    writes: VecDeque<Write>,
    flushes: VecDeque<Other>,
    shutdowns: VecDeque<Other>,
    handed_out: u64,
    taken: Vec<u8>,
    /// How often it was polled: for reading, writing, vectored writing, flushing, shutting down.
    polls: [usize; 5],
}

impl Scripted {
    fn take(&mut self, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.writes.pop_front() {
            Some(Write::Take(most)) => {
                let before = self.taken.len();
                let bytes = bufs.iter().flat_map(|buf| buf.iter());
                self.taken.extend(bytes.take(most.into()));
                Poll::Ready(Ok(self.taken.len() - before))
            }
            Some(Write::Fail(failing)) => Poll::Ready(Err(failing.error())),
            Some(Write::Pending) | None => Poll::Pending,
        }
    }

    fn other(answer: Option<Other>) -> Poll<io::Result<()>> {
        match answer {
            Some(Other::Done) | None => Poll::Ready(Ok(())),
            Some(Other::Pending) => Poll::Pending,
            Some(Other::Fail(failing)) => Poll::Ready(Err(failing.error())),
        }
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.polls[0] += 1;
        match self.reads.pop_front() {
            Some(Read::Bytes(more)) => {
                let there = usize::from(more) + 1;
                let bytes = there.min(buf.remaining());
                for _ in 0..bytes {
                    buf.put_slice(&[byte(self.handed_out)]);
                    self.handed_out += 1;
                }
                // What had no room comes next.
                if let Some(rest) = u8::try_from(there - bytes)
                    .ok()
                    .and_then(|n| n.checked_sub(1))
                {
                    self.reads.push_front(Read::Bytes(rest));
                }
                Poll::Ready(Ok(()))
            }
            Some(Read::End) => {
                if buf.remaining() > 0 {
                    // The end stays the end.
                    self.reads.clear();
                }
                self.reads.push_front(Read::End);
                Poll::Ready(Ok(()))
            }
            Some(Read::Fail(failing)) => Poll::Ready(Err(failing.error())),
            Some(Read::Pending) | None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.polls[1] += 1;
        self.take(&[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.polls[2] += 1;
        self.take(bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.polls[3] += 1;
        let answer = self.flushes.pop_front();
        Self::other(answer)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.polls[4] += 1;
        let answer = self.shutdowns.pop_front();
        Self::other(answer)
    }
}

#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What must be: written down from the documentation of the types.
struct Model {
    allowed: bool,
    shut_down: bool,
    status: Status,
    /// Which waker each future, the pending writer and the pending reader have registered.
    futures: Vec<Option<usize>>,
    writer: Option<usize>,
    reader: Option<usize>,
    /// We aborted it: reads that wait end with the reason.
    aborted: bool,
    due: [usize; WAKERS],
}

const WAKERS: usize = 4;

impl Model {
    fn close(&mut self, reason: CloseReason) {
        if self.status.is_closed() {
            return;
        }
        if reason != CloseReason::Aborted {
            // What comes is the wrapped stream's to tell.
            self.reader = None;
        }
        self.status = Status::Closed(reason);
        let registered = self.futures.iter_mut().filter_map(Option::take);
        for waker in registered
            .chain(self.writer.take())
            .chain(self.reader.take())
        {
            self.due[waker] += 1;
        }
    }

    fn abort(&mut self) {
        self.aborted |= !self.status.is_closed();
        self.close(CloseReason::Aborted);
    }

    fn end_of_input(&mut self) {
        match (self.shut_down, self.allowed) {
            (true, _) => self.close(CloseReason::Finished),
            (false, false) => self.close(CloseReason::PeerClosed),
            (false, true) if self.status == Status::Open => self.status = Status::PeerFinished,
            (false, true) => {}
        }
    }

    fn failed(&mut self, error: &io::Error, writing: bool) {
        if let Some(reason) = CloseReason::carried_by(error) {
            // The pipe that broke after our own shutdown is our own doing.
            if !(writing && error.kind() == ErrorKind::BrokenPipe && self.shut_down) {
                self.close(reason.clone());
            }
            return;
        }
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
            ErrorKind::BrokenPipe if writing && self.shut_down => {}
            ErrorKind::BrokenPipe => self.close(CloseReason::PeerClosed),
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => {
                self.close(CloseReason::Reset);
            }
            ErrorKind::TimedOut => self.close(CloseReason::TimedOut),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                self.close(CloseReason::Unreachable);
            }
            ErrorKind::UnexpectedEof => self.close(CloseReason::Truncated),
            kind => {
                let reason = CloseReason::from(error);
                let CloseReason::Failed(failure) = &reason else {
                    panic!("{error:?} is {reason:?}");
                };
                assert_eq!(failure.kind(), kind);
                assert_eq!(failure.code(), error.raw_os_error());
                assert_eq!(failure.to_string(), error.to_string());
                self.close(reason);
            }
        }
    }

    /// What the bare stream's answer to a write, flush or shutdown means.
    fn wrote<T>(&mut self, bare: &Poll<io::Result<T>>, waker: usize) {
        match bare {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => self.failed(error, true),
            Poll::Pending if self.status.is_closed() => {}
            Poll::Pending => self.writer = Some(waker),
        }
    }
}

impl Model {
    /// A broken pipe says that the peer has closed, and the stream knows that it has reset.
    fn knows_better(&self, reason: &CloseReason, bare: &Poll<io::Result<()>>) -> bool {
        let is_broken = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
        *reason == CloseReason::Reset
            && !self.shut_down
            && matches!(bare, Poll::Ready(Err(error)) if is_broken(error))
    }
}

/// Compares the answers of the two streams.
fn same<T: PartialEq + std::fmt::Debug>(got: Poll<io::Result<T>>, bare: Poll<io::Result<T>>) {
    match (got, bare) {
        (Poll::Pending, Poll::Pending) => {}
        (Poll::Ready(Ok(got)), Poll::Ready(Ok(bare))) => assert_eq!(got, bare),
        (Poll::Ready(Err(got)), Poll::Ready(Err(bare))) => {
            assert_eq!(got.kind(), bare.kind());
            assert_eq!(got.raw_os_error(), bare.raw_os_error());
            assert_eq!(got.to_string(), bare.to_string());
        }
        (got, bare) => panic!("{got:?} where the bare stream says {bare:?}"),
    }
}

/// Checks that a call was refused, with the reason.
fn refused<T: std::fmt::Debug>(got: Poll<io::Result<T>>, reason: &CloseReason) {
    match got {
        Poll::Ready(Err(error)) => {
            assert_eq!(CloseReason::carried_by(&error), Some(reason));
            assert_eq!(error.kind(), io::Error::from(reason.clone()).kind());
        }
        got => panic!("{got:?} on a stream that is closed ({reason})"),
    }
}

/// One read into a buffer that has `filled` bytes in it and `room` for more. Gives what was added.
fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    filled: usize,
    room: usize,
) -> Poll<io::Result<Vec<u8>>> {
    let mut storage = vec![MaybeUninit::uninit(); filled + room];
    let mut buf = ReadBuf::uninit(&mut storage);
    buf.put_slice(&vec![0xA5; filled]);
    let polled = Pin::new(stream).poll_read(cx, &mut buf);
    let (old, new) = buf.filled().split_at(filled);
    assert!(old.iter().all(|byte| *byte == 0xA5));
    assert!(matches!(polled, Poll::Ready(Ok(()))) || new.is_empty());
    polled.map_ok(|()| new.to_vec())
}

fn check(
    model: &Model,
    stream: &MonitoredStream<Scripted>,
    bare: &Scripted,
    monitor: &Monitor,
    wakers: &[Arc<Counting>],
) {
    // Invariant 1.
    assert_eq!(monitor.status(), model.status);
    assert_eq!(monitor.is_closed(), model.status.is_closed());
    assert_eq!(stream.is_closed(), model.status.is_closed());
    assert_eq!(monitor.close_reason().as_ref(), model.status.reason());
    assert_eq!(stream.close_reason().as_ref(), model.status.reason());
    // Invariant 2.
    for (waker, due) in wakers.iter().zip(&model.due) {
        assert_eq!(waker.0.load(Ordering::Relaxed), *due);
    }
    // Invariants 5, 6 and 9: the same calls have reached both streams, and no others.
    let inner = stream.get_ref();
    assert_eq!(inner.polls, bare.polls);
    assert_eq!(inner.taken, bare.taken);
    assert_eq!(monitor.transfer().read, inner.handed_out);
    assert_eq!(monitor.transfer().accepted, inner.taken.len() as u64);
}

fuzz_target!(|input: Input| {
    let scripted = Scripted {
        vectored: input.vectored,
        reads: input.reads.into(),
        writes: input.writes.into(),
        flushes: input.flushes.into(),
        shutdowns: input.shutdowns.into(),
        handed_out: 0,
        taken: Vec::new(),
        polls: [0; 5],
    };
    let half_close = match input.half_close_allowed {
        true => HalfClose::Allow,
        false => HalfClose::Close,
    };
    let config = MonitorConfig::new().half_close(half_close);
    let mut bare = scripted.clone();
    let mut stream = MonitoredStream::unwatched_with_config(scripted, &config);
    let monitor = stream.monitor();
    assert_eq!(stream.is_write_vectored(), input.vectored);

    let mut model = Model {
        allowed: input.half_close_allowed,
        shut_down: false,
        status: Status::Open,
        futures: Vec::new(),
        writer: None,
        reader: None,
        aborted: false,
        due: [0; WAKERS],
    };
    let mut futures: Vec<Closed> = Vec::new();
    let counts: Vec<Arc<Counting>> = (0..WAKERS).map(|_| Arc::default()).collect();
    let wakers: Vec<Waker> = counts.iter().map(|count| count.clone().into()).collect();
    let choose = |waker: u8| {
        let waker = usize::from(waker) % WAKERS;
        (waker, Context::from_waker(&wakers[waker]))
    };
    let mut bare_cx = Context::from_waker(Waker::noop());
    let mut arrived = 0;

    for operation in input.operations {
        let closed = model.status.reason().cloned();
        match operation {
            Operation::Read {
                filled,
                room,
                waker,
            } => {
                let (filled, room) = (filled.into(), room.into());
                let (reader, mut cx) = choose(waker);
                let expected = read(&mut bare, &mut bare_cx, filled, room);
                match &expected {
                    Poll::Ready(Ok(bytes)) if bytes.is_empty() && room > 0 => model.end_of_input(),
                    Poll::Ready(Err(error)) => model.failed(error, false),
                    Poll::Pending if closed.is_none() => model.reader = Some(reader),
                    _ => {}
                }
                let got = read(&mut stream, &mut cx, filled, room);
                if let (true, true, Some(reason)) = (model.aborted, expected.is_pending(), &closed)
                {
                    refused(got, reason);
                    continue;
                }
                if let Poll::Ready(Ok(bytes)) = &got {
                    for got in bytes {
                        assert_eq!(*got, byte(arrived));
                        arrived += 1;
                    }
                }
                same(got, expected);
            }
            Operation::Write { length, waker } => {
                let start = bare.taken.len() as u64;
                let bytes: Vec<u8> = (start..start + u64::from(length)).map(byte).collect();
                let (waker, mut cx) = choose(waker);
                let got = Pin::new(&mut stream).poll_write(&mut cx, &bytes);
                match closed {
                    Some(reason) => refused(got, &reason),
                    None => {
                        let expected = Pin::new(&mut bare).poll_write(&mut bare_cx, &bytes);
                        model.wrote(&expected, waker);
                        same(got, expected);
                    }
                }
            }
            Operation::WriteVectored { lengths, waker } => {
                let mut place = bare.taken.len() as u64;
                let bytes = lengths.map(|length| {
                    let start = place;
                    place += u64::from(length);
                    (start..place).map(byte).collect::<Vec<u8>>()
                });
                let bufs = [0, 1, 2].map(|index| IoSlice::new(&bytes[index]));
                let (waker, mut cx) = choose(waker);
                let got = Pin::new(&mut stream).poll_write_vectored(&mut cx, &bufs);
                match closed {
                    Some(reason) => refused(got, &reason),
                    None => {
                        let expected = Pin::new(&mut bare).poll_write_vectored(&mut bare_cx, &bufs);
                        model.wrote(&expected, waker);
                        same(got, expected);
                    }
                }
            }
            // A flush or a shutdown of a closed stream goes through, but never waits.
            Operation::Flush { waker } => {
                let (waker, mut cx) = choose(waker);
                let expected = Pin::new(&mut bare).poll_flush(&mut bare_cx);
                model.wrote(&expected, waker);
                let got = Pin::new(&mut stream).poll_flush(&mut cx);
                match closed {
                    Some(reason)
                        if expected.is_pending() || model.knows_better(&reason, &expected) =>
                    {
                        refused(got, &reason);
                    }
                    _ => same(got, expected),
                }
            }
            Operation::Shutdown { waker } => {
                let (waker, mut cx) = choose(waker);
                let expected = Pin::new(&mut bare).poll_shutdown(&mut bare_cx);
                if let Poll::Ready(Ok(())) = expected {
                    // After the close it changes nothing.
                    model.shut_down |= !model.status.is_closed();
                    if model.status == Status::PeerFinished {
                        model.close(CloseReason::Finished);
                    }
                }
                model.wrote(&expected, waker);
                let got = Pin::new(&mut stream).poll_shutdown(&mut cx);
                match closed {
                    Some(reason)
                        if expected.is_pending() || model.knows_better(&reason, &expected) =>
                    {
                        refused(got, &reason);
                    }
                    _ => same(got, expected),
                }
            }
            Operation::NewClosed => {
                futures.push(stream.closed());
                model.futures.push(None);
            }
            Operation::PollClosed { index, waker } if !futures.is_empty() => {
                let index = usize::from(index) % futures.len();
                let (waker, mut cx) = choose(waker);
                match Pin::new(&mut futures[index]).poll(&mut cx) {
                    Poll::Ready(reason) => assert_eq!(Some(reason), closed),
                    Poll::Pending => {
                        assert_eq!(closed, None);
                        model.futures[index] = Some(waker);
                    }
                }
            }
            Operation::DropClosed { index } if !futures.is_empty() => {
                let index = usize::from(index) % futures.len();
                drop(futures.swap_remove(index));
                model.futures.swap_remove(index);
            }
            Operation::Abort { from_monitor } => {
                match from_monitor {
                    true => monitor.abort(),
                    false => stream.abort(),
                }
                model.abort();
            }
            Operation::PollClosed { .. } | Operation::DropClosed { .. } => {}
        }
        check(&model, &stream, &bare, &monitor, &counts);
        // What was taken is what was given, in order, with nothing between.
        let taken = &stream.get_ref().taken;
        assert!(
            taken
                .iter()
                .zip(0..)
                .all(|(got, place)| *got == byte(place))
        );
    }

    let transfer = monitor.transfer();
    match input.into_inner {
        true => drop(stream.into_inner()),
        false => drop(stream),
    }
    // Invariants 1 and 8.
    model.close(CloseReason::Dropped);
    assert_eq!(monitor.status(), model.status);
    assert_eq!(monitor.transfer(), transfer);
    for (waker, due) in counts.iter().zip(&model.due) {
        assert_eq!(waker.0.load(Ordering::Relaxed), *due);
    }
});
