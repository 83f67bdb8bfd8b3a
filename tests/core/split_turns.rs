//! Halves that meet in the middle of a call: whoever waits for its turn is woken, however the call ends.

use futures_test::task::{AwokenCount, new_count_waker};
use hangup::{MonitoredStream, OwnedReadHalf};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_test::{assert_pending, assert_ready_ok};

type Reader = Arc<Mutex<Option<OwnedReadHalf<Meeting>>>>;

/// The read half is polled with `waker` in the middle of each call of the other, as by another thread.
struct Meeting {
    reader: Reader,
    waker: Waker,
    panics: bool,
}

impl Meeting {
    fn read_meanwhile(&self) {
        let mut reader = self.reader.lock().unwrap();
        if let Some(reader) = reader.as_mut() {
            assert_pending!(read(reader, &self.waker));
        }
        drop(reader);
    }
}

fn read<S: AsyncRead + Unpin>(
    reader: &mut OwnedReadHalf<S>,
    waker: &Waker,
) -> Poll<io::Result<()>> {
    let mut cx = Context::from_waker(waker);
    Pin::new(reader).poll_read(&mut cx, &mut ReadBuf::new(&mut [0]))
}

impl AsyncRead for Meeting {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Meeting {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        self.read_meanwhile();
        assert!(!self.panics, "on purpose");
        Poll::Ready(Ok(b.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.read_meanwhile();
        Poll::Ready(Ok(()))
    }
}

fn meeting(waker: Waker, panics: bool) -> (Reader, hangup::OwnedWriteHalf<Meeting>) {
    let reader = Reader::default();
    let stream = MonitoredStream::unwatched(Meeting {
        reader: reader.clone(),
        waker,
        panics,
    });
    let (half, writer) = stream.into_split();
    *reader.lock().unwrap() = Some(half);
    (reader, writer)
}

fn write<S: AsyncWrite + Unpin>(writer: &mut S) -> Poll<io::Result<usize>> {
    Pin::new(writer).poll_write(&mut Context::from_waker(Waker::noop()), b"w")
}

#[track_caller]
fn woken_once(count: &AwokenCount) {
    assert_eq!(count.get(), 1);
}

/// A reader came in the middle of the shutdown that the drop of the other half does. Nobody woke it, and it hung.
#[test]
fn a_read_that_meets_the_shutdown_of_a_drop_is_woken() {
    let (waker, count) = new_count_waker();
    let (reader, writer) = meeting(waker, false);
    drop(writer);
    woken_once(&count);
    drop(reader.lock().unwrap().take());
}

/// A write that panics, in a task of its own, left a reader that had met it without its wake-up.
#[test]
fn a_read_that_meets_a_panic_is_woken() {
    let (waker, count) = new_count_waker();
    let (reader, mut writer) = meeting(waker, true);
    assert!(catch_unwind(AssertUnwindSafe(|| write(&mut writer))).is_err());
    woken_once(&count);
    writer.forget();
    drop(reader.lock().unwrap().take());
}

/// The waker of a reader is foreign code: its panic came out of the other half's write, whose bytes were gone.
#[test]
fn a_waker_that_panics_does_not_reach_the_other_half() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let (reader, mut writer) = meeting(Arc::new(Panics).into(), false);
    assert_eq!(assert_ready_ok!(write(&mut writer)), 1);
    drop(reader.lock().unwrap().take());
    drop(writer);
}

/// Reads wait for ever, writes are taken, and the function says how a shutdown stands.
pub(crate) struct SlowShutdown<F>(pub(crate) F);

impl<F> AsyncRead for SlowShutdown<F> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl<F: FnMut(&mut Context<'_>) -> Poll<()> + Unpin> AsyncWrite for SlowShutdown<F> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(b.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (self.0)(cx).map(Ok)
    }
}

#[derive(Default)]
struct Held {
    may_end: bool,
    ended: bool,
    waiting: Option<Waker>,
}

/// A reader waited already when the other half was dropped, with a shutdown that had to wait. Nobody went on with
/// it: the peer waited for the end, and the reader for the peer.
#[test]
fn a_reader_that_waits_already_goes_on_with_the_shutdown() {
    let held = Arc::new(Mutex::new(Held::default()));
    let shared = held.clone();
    let shutdown = SlowShutdown(move |cx: &mut Context<'_>| {
        let mut held = shared.lock().unwrap();
        if held.may_end {
            held.ended = true;
            return Poll::Ready(());
        }
        held.waiting = Some(cx.waker().clone());
        Poll::Pending
    });
    let (mut reader, writer) = MonitoredStream::unwatched(shutdown).into_split();
    let (waker, count) = new_count_waker();
    assert_pending!(read(&mut reader, &waker));
    drop(writer);
    // Now there is room.
    let waiting = {
        let mut held = held.lock().unwrap();
        held.may_end = true;
        held.waiting.take()
    };
    waiting.expect("the shutdown waits").wake();
    woken_once(&count);
    assert_pending!(read(&mut reader, &waker));
    assert!(held.lock().unwrap().ended);
}

/// The read half has gone to another task, which has to go on with the shutdown. The task that read before is not the
/// one to wake.
#[test]
fn a_shutdown_wakes_the_task_that_read_last() {
    let left = Arc::new(Mutex::new(None));
    let leaves = left.clone();
    let shutdown = SlowShutdown(move |cx: &mut Context<'_>| {
        *leaves.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    });
    let (mut reader, writer) = MonitoredStream::unwatched(shutdown).into_split();
    let (first, first_count) = new_count_waker();
    let (second, second_count) = new_count_waker();
    for waker in [&first, &second] {
        assert_pending!(read(&mut reader, waker));
    }
    drop(writer);
    let waiting: Option<Waker> = left.lock().unwrap().take();
    waiting.expect("the shutdown waits").wake();
    assert_eq!((first_count.get(), second_count.get()), (0, 1));
}
