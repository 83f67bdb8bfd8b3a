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
use crate::observe::call_foreign;
use crate::policy::NOBODY;
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
    /// The task whose read of the stream is pending.
    pending_read: Option<Waker>,
    /// The write half was dropped before its shutdown was complete. The read half continues it.
    shuts_down: bool,
}

/// The stream, for one call. The fields are dropped in this order.
struct Turn<'a, T> {
    stream: MutexGuard<'a, T>,
    _end: TurnEnd<'a>,
}

/// The end of a turn, be it by a panic, wakes those who wait for theirs.
struct TurnEnd<'a>(&'a Mutex<Waiting>);

impl Drop for TurnEnd<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(self.0);
        let (reader, writer) = (waiting.reader.take(), waiting.writer.take());
        drop(waiting);
        for waker in reader.into_iter().chain(writer) {
            call_foreign(|| waker.wake());
        }
    }
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
        let Some(mut turn) = taken else {
            return Poll::Pending;
        };
        let polled = poll((*turn.stream).borrow_mut(), cx);
        drop(turn);
        // While there is a write half, nothing is shut down behind its back.
        if let Side::Read = side {
            self.read_ended(cx, polled.is_pending());
        }
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
        let Some(mut turn) = self.try_take() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let called = call((*turn.stream).borrow_mut());
        drop(turn);
        if lock(&self.waiting).shuts_down {
            self.go_on_shutting_down(&mut Context::from_waker(NOBODY));
        }
        called
    }

    /// Shuts down the sending direction as far as possible without waiting. The read half does the rest: a pending read
    /// is woken for it.
    pub(super) fn shut_down(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.shuts_down = true;
        let reader = waiting.pending_read.clone();
        drop(waiting);
        let waker = reader.as_ref().unwrap_or(NOBODY);
        self.go_on_shutting_down(&mut Context::from_waker(waker));
    }

    fn try_take(&self) -> Option<Turn<'_, T>> {
        let stream = match self.stream.try_lock() {
            Ok(stream) => stream,
            // A poll that panics leaves the stream as tokio's own would be.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let _end = TurnEnd(&self.waiting);
        Some(Turn { stream, _end })
    }

    /// Leaves the waker of a pending read, and goes on with a shutdown that had to wait.
    fn read_ended(&self, cx: &mut Context<'_>, is_pending: bool) {
        let mut waiting = lock(&self.waiting);
        let left = match &mut waiting.pending_read {
            Some(left) if is_pending && left.will_wake(cx.waker()) => None,
            left if is_pending => left.replace(cx.waker().clone()),
            left => left.take(),
        };
        let shuts_down = waiting.shuts_down;
        drop(waiting);
        drop(left);
        if shuts_down {
            self.go_on_shutting_down(cx);
        }
    }

    fn go_on_shutting_down(&self, cx: &mut Context<'_>) {
        let Some(mut turn) = self.try_take() else {
            // The half that is using the stream checks again after its call.
            return;
        };
        if (self.poll_shutdown)(&mut turn.stream, cx).is_ready() {
            lock(&self.waiting).shuts_down = false;
        }
    }
}
