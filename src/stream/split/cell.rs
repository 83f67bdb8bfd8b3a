//! The stream that two halves share.
//!
//! Polls of the stream take `&mut`, so the halves take turns. Neither blocks its thread: if the stream is in use, a
//! half registers its waker, and the other half wakes it after its call. A blocking lock would stop a reader for a
//! whole part of a file. It would also deadlock if a poll wakes a waker that polls the other half.
//!
//! No wake-up is lost: a half registers its waker under the lock of [`Waiting`] and then tries once more. The other
//! half, after its call, looks for wakers under the same lock. So either the second attempt succeeds, or the waker is
//! found.

use crate::monitor::Monitor;
use crate::state::sync::lock;
use crate::stream::monitored_stream::MonitoredStream;
use std::borrow::BorrowMut;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;

/// The stream behind a lock that is only tried, never waited for. `T` is the stream, or a reference to it.
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
    /// The write half was dropped before its shutdown was complete. The read half continues it.
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

    /// Polls the stream with `poll`. If the other half is using it, registers the waker of `side`.
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

    /// Calls the stream with `call`, unless the other half is using it.
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

    /// Shuts down the sending direction as far as possible without waiting. The read half does the rest.
    pub(super) fn shut_down(&self) {
        lock(&self.waiting).shuts_down = true;
        self.go_on_shutting_down(&mut Context::from_waker(Waker::noop()));
    }

    fn try_take(&self) -> Option<MutexGuard<'_, T>> {
        match self.stream.try_lock() {
            Ok(stream) => Some(stream),
            // After a panic in a poll the stream is in the same state as a bare one would be.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The stream is free again: continues a pending shutdown, and wakes the other half.
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
            // The half that is using the stream checks again after its call.
            return;
        };
        if (self.poll_shutdown)(&mut stream, cx).is_ready() {
            lock(&self.waiting).shuts_down = false;
        }
    }
}
