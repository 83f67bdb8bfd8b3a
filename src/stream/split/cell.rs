//! The stream that two halves share.
//!
//! Polls of the stream take `&mut`, so the halves take turns. Neither blocks its thread: a half that finds the
//! stream taken leaves its waker, and whoever gives the stream back wakes it. A blocking lock would hold a reader up
//! for a whole part of a file, and would hang if a waker that a poll wakes polled the other half.
//!
//! No wake-up is lost: a half leaves its waker under the lock of [`Waiting`] and then tries once more. Whoever gives
//! the stream back looks under that lock afterwards. Of the two one comes first: either the second attempt succeeds,
//! or the waker is found.

use crate::monitor::Monitor;
use crate::state::sync::lock;
use crate::stream::monitored_stream::MonitoredStream;
use std::borrow::BorrowMut;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;

/// `T`: the stream, or a reference to it.
#[derive(Debug)]
pub(super) struct SplitCell<T> {
    stream: Mutex<T>,
    waiting: Mutex<Waiting>,
    poll_shutdown: PollShutdown<T>,
    pub(super) monitor: Monitor,
    pub(super) is_write_vectored: bool,
}

type PollShutdown<T> = fn(&mut T, &mut Context<'_>) -> Poll<io::Result<()>>;

#[derive(Debug, Default)]
struct Waiting {
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// The write half was dropped, and its shutdown is not complete. The read half goes on with it.
    shuts_down: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Read,
    Write,
}

impl Waiting {
    fn place(&mut self, side: Side) -> &mut Option<Waker> {
        match side {
            Side::Read => &mut self.reader,
            Side::Write => &mut self.writer,
        }
    }
}

impl<T> SplitCell<T> {
    pub(super) fn new<S: AsyncWrite + Unpin>(stream: T) -> Self
    where
        T: BorrowMut<MonitoredStream<S>>,
    {
        Self {
            poll_shutdown: |stream, cx| Pin::new(stream.borrow_mut()).poll_shutdown(cx),
            monitor: stream.borrow().monitor(),
            is_write_vectored: stream.borrow().is_write_vectored(),
            waiting: Mutex::default(),
            stream: Mutex::new(stream),
        }
    }

    pub(super) fn into_inner(self) -> T {
        self.stream
            .into_inner()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Polls the stream with `poll`, or waits for the turn of `side`.
    pub(super) fn poll<S, R>(
        &self,
        side: Side,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut MonitoredStream<S>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R>
    where
        T: BorrowMut<MonitoredStream<S>>,
    {
        let taken = self.try_take().or_else(|| {
            let left = lock(&self.waiting).place(side).replace(cx.waker().clone());
            drop(left);
            let taken = self.try_take()?;
            let own = lock(&self.waiting).place(side).take();
            drop(own);
            Some(taken)
        });
        let Some(mut stream) = taken else {
            return Poll::Pending;
        };
        let polled = poll((*stream).borrow_mut(), cx);
        drop(stream);
        self.gave_back(cx);
        polled
    }

    /// Calls the stream with `call`, unless the other half is in the middle of a call.
    pub(super) fn try_with<S, R>(
        &self,
        call: impl FnOnce(&mut MonitoredStream<S>) -> io::Result<R>,
    ) -> io::Result<R>
    where
        T: BorrowMut<MonitoredStream<S>>,
    {
        let Some(mut stream) = self.try_take() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let called = call((*stream).borrow_mut());
        drop(stream);
        self.gave_back(&mut Context::from_waker(Waker::noop()));
        called
    }

    /// Shuts the sending direction down, as far as that goes without waiting. The read half does the rest.
    pub(super) fn shut_down(&self) {
        lock(&self.waiting).shuts_down = true;
        self.go_on_shutting_down(&mut Context::from_waker(Waker::noop()));
    }

    fn try_take(&self) -> Option<MutexGuard<'_, T>> {
        match self.stream.try_lock() {
            Ok(stream) => Some(stream),
            // A poll that panics leaves the stream as tokio's own would be.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Does what others could not do meanwhile, or wakes them for it.
    fn gave_back(&self, cx: &mut Context<'_>) {
        let mut waiting = lock(&self.waiting);
        let (reader, writer) = (waiting.reader.take(), waiting.writer.take());
        let shuts_down = waiting.shuts_down;
        drop(waiting);
        reader.into_iter().chain(writer).for_each(Waker::wake);
        if shuts_down {
            self.go_on_shutting_down(cx);
        }
    }

    fn go_on_shutting_down(&self, cx: &mut Context<'_>) {
        let Some(mut stream) = self.try_take() else {
            // Who has it looks again.
            return;
        };
        if (self.poll_shutdown)(&mut stream, cx).is_ready() {
            lock(&self.waiting).shuts_down = false;
        }
    }
}
