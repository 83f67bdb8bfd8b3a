//! The owned halves of a stream, below which layers come and go, over a scripted stream.
//!
//! The scripted stream keeps one waker for reads and one for writes, as a socket does, and wakes it when the script
//! supplies what it waits for. In the middle of a call it may poll or drop the other half, as a waker does that runs its
//! task at once. Checked after each operation:
//!
//! * The bytes that are read are those of the script, in order, from the layers' headers on. The bytes that arrive are
//!   those that were written, in order.
//! * No wake-up is lost: a half whose call was pending, and could go on now, has been woken since.
//! * An error is the script's, or carries the reason of the close.
//! * A write half that is dropped shuts down, and one that is forgotten or reunited does not. If the shutdown has to
//!   wait, the pending read is woken to continue it.
//! * The byte counts are those of the halves, without the headers.

#![no_main]

use arbitrary::Arbitrary;
use hangup::{CloseReason, HalfClose, Monitor, MonitorConfig, MonitoredStream};
use hangup::{OwnedReadHalf, OwnedWriteHalf};
use libfuzzer_sys::fuzz_target;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Arbitrary, Debug)]
struct Input {
    half_close_allowed: bool,
    /// The lengths of the headers of the first layers.
    layers: Vec<u8>,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Read {
        room: u8,
        waker: u8,
    },
    Write {
        length: u8,
        waker: u8,
    },
    Flush {
        waker: u8,
    },
    Shutdown {
        waker: u8,
    },
    Supply(u8),
    EndInput,
    FailInput,
    Room(u8),
    FailOutput,
    LetFlush,
    LetShutdown,
    /// What the next call of the scripted stream does in its middle.
    Inside(Inside),
    DropWriter,
    ForgetWriter,
    DropReader,
    /// The halves become a stream, perhaps with one more layer, and are split again.
    Reunite {
        layer: Option<u8>,
    },
    Abort,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Inside {
    Read { room: u8, waker: u8 },
    Write { length: u8, waker: u8 },
    DropWriter,
    DropReader,
}

const WAKERS: usize = 3;
const LAYERS: usize = 3;

/// The byte at a place: a lost, doubled or moved one shows.
fn byte(place: u64) -> u8 {
    (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}
type Io = Box<dyn Duplex>;

#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The state of the scripted stream.
#[derive(Default)]
struct Script {
    supplied: u64,
    handed_out: u64,
    ended: bool,
    input_fails: bool,
    room: u64,
    taken: u64,
    output_fails: bool,
    may_flush: bool,
    may_shut_down: bool,
    shutdowns: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
    inside: VecDeque<Inside>,
}

impl Script {
    fn can_read(&self) -> bool {
        self.handed_out < self.supplied || self.input_fails || self.ended
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Waiting {
    Read,
    Write,
    Flush,
    Shutdown,
}

/// A pending call: what it waits for, its waker, and how often that was woken before.
#[derive(Clone, Copy)]
struct Pending {
    on: Waiting,
    waker: usize,
    woken: usize,
}

/// All that the operations use, the nested ones too.
struct World {
    script: RefCell<Script>,
    reader: RefCell<Option<OwnedReadHalf<Io>>>,
    writer: RefCell<Option<OwnedWriteHalf<Io>>>,
    counts: [Arc<Counting>; WAKERS],
    wakers: [Waker; WAKERS],
    read_pends: Cell<Option<Pending>>,
    write_pends: Cell<Option<Pending>>,
    /// Bytes that the halves have read, and the layers.
    received: Cell<u64>,
    headers: Cell<u64>,
    /// The write half was dropped, and its shutdown is not complete.
    owes_shutdown: Cell<bool>,
    /// It was forgotten, or shut down by a call.
    is_shut_down: Cell<bool>,
    dropped: Cell<bool>,
}

impl World {
    fn new() -> Rc<Self> {
        let counts: [Arc<Counting>; WAKERS] = Default::default();
        let wakers = [0, 1, 2].map(|index: usize| Waker::from(counts[index].clone()));
        Rc::new(Self {
            script: RefCell::default(),
            reader: RefCell::default(),
            writer: RefCell::default(),
            counts,
            wakers,
            read_pends: Cell::default(),
            write_pends: Cell::default(),
            received: Cell::default(),
            headers: Cell::default(),
            owes_shutdown: Cell::default(),
            is_shut_down: Cell::default(),
            dropped: Cell::default(),
        })
    }

    fn woken(&self, waker: usize) -> usize {
        self.counts[waker].0.load(Ordering::Relaxed)
    }

    fn pending(&self, on: Waiting, waker: u8) -> Pending {
        let waker = usize::from(waker) % WAKERS;
        Pending {
            on,
            waker,
            woken: self.woken(waker),
        }
    }

    /// Reads by the read half, unless it is in use or gone.
    fn read(&self, room: u8, waker: u8) -> Option<Poll<io::Result<usize>>> {
        let mut reader = self.reader.try_borrow_mut().ok()?;
        let half = reader.as_mut()?;
        let pending = self.pending(Waiting::Read, waker);
        let mut cx = Context::from_waker(&self.wakers[pending.waker]);
        let mut storage = vec![0; room.into()];
        let mut buf = ReadBuf::new(&mut storage);
        let polled = Pin::new(half).poll_read(&mut cx, &mut buf);
        self.read_pends.set(polled.is_pending().then_some(pending));
        let polled = polled.map_ok(|()| buf.filled().len());
        if let Poll::Ready(Ok(_)) = polled {
            for got in buf.filled() {
                assert_eq!(*got, byte(self.received.get()), "a wrong byte");
                self.received.set(self.received.get() + 1);
            }
        }
        let script = self.script.borrow();
        match &polled {
            Poll::Ready(Ok(0)) if room > 0 => {
                assert!(script.ended);
                assert_eq!(self.received.get(), script.supplied, "input is lost");
            }
            Poll::Ready(Err(error)) => {
                let reason = CloseReason::carried_by(error).cloned();
                let scripted = script.input_fails && error.kind() == ErrorKind::ConnectionReset;
                assert!(
                    scripted || reason == Some(CloseReason::Aborted),
                    "{error:?}"
                );
                assert!(!scripted || self.received.get() == script.handed_out);
            }
            _ => {}
        }
        Some(polled)
    }

    fn write_by<T>(
        &self,
        on: Waiting,
        waker: u8,
        call: impl FnOnce(Pin<&mut OwnedWriteHalf<Io>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Option<Poll<io::Result<T>>> {
        let mut writer = self.writer.try_borrow_mut().ok()?;
        let half = writer.as_mut()?;
        let pending = self.pending(on, waker);
        let mut cx = Context::from_waker(&self.wakers[pending.waker]);
        let polled = call(Pin::new(half), &mut cx);
        self.write_pends.set(polled.is_pending().then_some(pending));
        if let Poll::Ready(Err(error)) = &polled {
            let reason = half.monitor().close_reason();
            assert!(reason.is_some(), "{error:?}, and nothing is closed");
            let scripted = error.kind() == ErrorKind::ConnectionReset;
            assert!(scripted || CloseReason::carried_by(error) == reason.as_ref());
        }
        Some(polled)
    }

    fn write(&self, length: u8, waker: u8) -> Option<Poll<io::Result<usize>>> {
        let start = self.script.borrow().taken;
        let bytes: Vec<u8> = (start..start + u64::from(length)).map(byte).collect();
        self.write_by(Waiting::Write, waker, |half, cx| {
            half.poll_write(cx, &bytes)
        })
    }

    fn shut_down(&self, waker: u8) -> Option<Poll<io::Result<()>>> {
        let polled = self.write_by(Waiting::Shutdown, waker, |half, cx| half.poll_shutdown(cx));
        if polled.as_ref().is_some_and(Poll::is_ready) {
            self.is_shut_down.set(true);
        }
        polled
    }

    fn drop_writer(&self) {
        let writer = match self.writer.try_borrow_mut() {
            Ok(mut writer) => writer.take(),
            Err(_) => None,
        };
        if let Some(writer) = writer {
            self.write_pends.set(None);
            let before = self.script.borrow().shutdowns;
            drop(writer);
            let is_done = self.script.borrow().shutdowns > before;
            let owes = !is_done && !self.is_shut_down.get();
            self.owes_shutdown.set(owes);
        }
    }

    fn drop_reader(&self) {
        let reader = match self.reader.try_borrow_mut() {
            Ok(mut reader) => reader.take(),
            Err(_) => None,
        };
        if reader.is_some() {
            self.read_pends.set(None);
        }
        drop(reader);
    }

    /// Does what the script has for the middle of a call.
    fn inside(&self) {
        let inside = self.script.borrow_mut().inside.pop_front();
        match inside {
            Some(Inside::Read { room, waker }) => drop(self.read(room, waker)),
            Some(Inside::Write { length, waker }) => drop(self.write(length, waker)),
            Some(Inside::DropWriter) => self.drop_writer(),
            Some(Inside::DropReader) => self.drop_reader(),
            None => {}
        }
    }

    fn split(&self, stream: MonitoredStream<Io>) {
        let (reader, writer) = stream.into_split();
        *self.reader.borrow_mut() = Some(reader);
        *self.writer.borrow_mut() = Some(writer);
    }

    /// Changes the script, and wakes the call that waits for the change.
    fn change(&self, change: impl FnOnce(&mut Script), writes: bool) {
        let mut script = self.script.borrow_mut();
        change(&mut script);
        let waker = match writes {
            true => script.writer.take(),
            false => script.reader.take(),
        };
        drop(script);
        waker.into_iter().for_each(Waker::wake);
    }

    fn check(&self, monitor: &Monitor) {
        let script = self.script.borrow();
        let reason = monitor.close_reason();
        if let Some(pending) = self.read_pends.get() {
            let ready = self.received.get() < script.handed_out || script.can_read();
            let goes_on = ready
                || reason == Some(CloseReason::Aborted)
                || self.owes_shutdown.get() && script.may_shut_down && reason.is_none();
            let woken = self.woken(pending.waker) > pending.woken;
            assert!(woken || !goes_on, "a reader waits for ever");
        }
        if let Some(pending) = self.write_pends.get() {
            let ready = match pending.on {
                Waiting::Write => script.room > 0 || script.output_fails,
                Waiting::Flush => script.may_flush,
                Waiting::Shutdown => script.may_shut_down,
                Waiting::Read => unreachable!("a write does not wait for input"),
            };
            let woken = self.woken(pending.waker) > pending.woken;
            let goes_on = ready || reason.is_some();
            assert!(
                woken || !goes_on,
                "a writer waits for ever: {:?}",
                pending.on
            );
        }
        let transfer = monitor.transfer();
        assert_eq!(transfer.read, self.received.get() - self.headers.get());
        assert_eq!(transfer.accepted, script.taken);
    }
}

/// The scripted stream.
struct Scripted(Rc<World>);

impl Drop for Scripted {
    fn drop(&mut self) {
        self.0.dropped.set(true);
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.inside();
        let mut script = self.0.script.borrow_mut();
        if script.handed_out < script.supplied {
            while script.handed_out < script.supplied && buf.remaining() > 0 {
                buf.put_slice(&[byte(script.handed_out)]);
                script.handed_out += 1;
            }
            return Poll::Ready(Ok(()));
        }
        if script.input_fails {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        if script.ended {
            return Poll::Ready(Ok(()));
        }
        script.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.inside();
        let mut script = self.0.script.borrow_mut();
        if script.output_fails {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        if script.room == 0 && !buf.is_empty() {
            script.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes = script.room.min(buf.len() as u64);
        for byte in &buf[..bytes as usize] {
            assert_eq!(*byte, self::byte(script.taken), "a wrong byte is sent");
            script.taken += 1;
        }
        script.room -= bytes;
        Poll::Ready(Ok(bytes as usize))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.inside();
        let mut script = self.0.script.borrow_mut();
        if script.may_flush {
            return Poll::Ready(Ok(()));
        }
        script.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.inside();
        let mut script = self.0.script.borrow_mut();
        if script.may_shut_down {
            script.shutdowns += 1;
            self.0.owes_shutdown.set(false);
            return Poll::Ready(Ok(()));
        }
        script.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Puts a layer with a header of so many bytes above `stream`. `None` if the input ends within the header.
fn layer(world: &World, stream: MonitoredStream<Io>, length: u8) -> Option<MonitoredStream<Io>> {
    let monitor = stream.monitor();
    let layered = stream.layer(async |mut transport| {
        for _ in 0..length {
            let mut header = [0];
            let mut header = ReadBuf::new(&mut header);
            poll_fn(|cx| Pin::new(&mut transport).poll_read(cx, &mut header)).await?;
            let [got] = *header.filled() else {
                return Err(ErrorKind::UnexpectedEof.into());
            };
            assert_eq!(got, byte(world.received.get()), "a wrong header");
            world.received.set(world.received.get() + 1);
            world.headers.set(world.headers.get() + 1);
        }
        Ok(Box::new(transport) as Io)
    });
    let mut layered = pin!(layered);
    let count = Arc::new(Counting::default());
    let waker = Waker::from(count.clone());
    loop {
        let woken = count.0.load(Ordering::Relaxed);
        match layered.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(Ok(stream)) => return Some(stream),
            Poll::Ready(Err(error)) => {
                let script = world.script.borrow();
                assert!(script.ended || script.input_fails || monitor.is_closed());
                assert!(monitor.is_closed(), "{error} and still open");
                return None;
            }
            Poll::Pending => {
                assert!(!monitor.is_closed(), "a closed stream waits");
                world.change(|script| script.supplied += 1, false);
                assert!(
                    count.0.load(Ordering::Relaxed) > woken,
                    "a layer waits for ever"
                );
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let world = World::new();
    let half_close = match input.half_close_allowed {
        true => HalfClose::Allow,
        false => HalfClose::Close,
    };
    let config = MonitorConfig::new().half_close(half_close);
    let io: Io = Box::new(Scripted(world.clone()));
    let mut stream = MonitoredStream::unwatched_with_config(io, &config);
    let monitor = stream.monitor();
    let mut layers = 0;
    for length in input.layers.into_iter().take(LAYERS) {
        match layer(&world, stream, length % 32) {
            Some(layered) => stream = layered,
            None => return,
        }
        layers += 1;
    }
    world.split(stream);
    world.check(&monitor);

    for operation in input.operations {
        match operation {
            Operation::Read { room, waker } => drop(world.read(room, waker)),
            Operation::Write { length, waker } => drop(world.write(length, waker)),
            Operation::Flush { waker } => {
                let flush = |half: Pin<&mut OwnedWriteHalf<Io>>, cx: &mut Context<'_>| {
                    ready!(half.poll_flush(cx))?;
                    Poll::Ready(Ok(()))
                };
                drop(world.write_by(Waiting::Flush, waker, flush));
            }
            Operation::Shutdown { waker } => drop(world.shut_down(waker)),
            Operation::Supply(more) => {
                let mut script = world.script.borrow_mut();
                let more = u64::from(more) * u64::from(!script.ended && !script.input_fails);
                script.supplied += more;
                drop(script);
                if more > 0 {
                    world.change(|_| {}, false);
                }
            }
            Operation::EndInput => world.change(|script| script.ended = true, false),
            Operation::FailInput => world.change(|script| script.input_fails = true, false),
            Operation::Room(more) if more > 0 => {
                world.change(|script| script.room += u64::from(more), true);
            }
            Operation::Room(_) => {}
            Operation::FailOutput => world.change(|script| script.output_fails = true, true),
            Operation::LetFlush => world.change(|script| script.may_flush = true, true),
            Operation::LetShutdown => world.change(|script| script.may_shut_down = true, true),
            Operation::Inside(inside) => {
                let mut script = world.script.borrow_mut();
                if script.inside.len() < 4 {
                    script.inside.push_back(inside);
                }
            }
            Operation::DropWriter => world.drop_writer(),
            Operation::ForgetWriter => {
                let writer = world.writer.borrow_mut().take();
                if let Some(writer) = writer {
                    let before = world.script.borrow().shutdowns;
                    writer.forget();
                    world.write_pends.set(None);
                    assert_eq!(
                        world.script.borrow().shutdowns,
                        before,
                        "forgotten, not shut down"
                    );
                }
            }
            Operation::DropReader => world.drop_reader(),
            Operation::Reunite { layer: length } => {
                let halves = (
                    world.reader.borrow_mut().take(),
                    world.writer.borrow_mut().take(),
                );
                let (reader, writer) = match halves {
                    (Some(reader), Some(writer)) => (reader, writer),
                    (reader, writer) => {
                        *world.reader.borrow_mut() = reader;
                        *world.writer.borrow_mut() = writer;
                        continue;
                    }
                };
                let before = world.script.borrow().shutdowns;
                let mut stream = reader.reunite(writer).expect("two halves of one stream");
                world.read_pends.set(None);
                world.write_pends.set(None);
                world.script.borrow_mut().inside.clear();
                assert_eq!(
                    world.script.borrow().shutdowns,
                    before,
                    "reunited, not shut down"
                );
                if let Some(length) = length.filter(|_| layers < LAYERS) {
                    layers += 1;
                    match layer(&world, stream, length % 32) {
                        Some(layered) => stream = layered,
                        None => return,
                    }
                }
                world.split(stream);
            }
            Operation::Abort => monitor.abort(),
        }
        world.check(&monitor);
        if world.reader.borrow().is_none() && world.writer.borrow().is_none() {
            break;
        }
    }

    // All that is waited for comes: the read half gets the rest, and the write half can end.
    world.script.borrow_mut().inside.clear();
    world.change(|script| script.ended = true, false);
    world.change(
        |script| {
            script.room = u64::MAX;
            script.may_flush = true;
            script.may_shut_down = true;
        },
        true,
    );
    world.check(&monitor);
    let was_open = !monitor.is_closed();
    if world.reader.borrow().is_some() {
        let mut reads = 0;
        loop {
            match world.read(255, 0).expect("the reader is there") {
                Poll::Pending => panic!("nothing is left to wait for"),
                Poll::Ready(Ok(0) | Err(_)) => break,
                Poll::Ready(Ok(_)) => reads += 1,
            }
            assert!(reads < 100_000);
        }
        if was_open {
            assert!(!world.owes_shutdown.get(), "the peer never sees the end");
        }
    }
    world.drop_writer();
    world.drop_reader();
    assert!(world.dropped.get(), "the stream is leaked");
    assert!(monitor.is_closed());
});
