//! Sinks: a task uses some to their end. Others are polled now and then, and left.

use crate::checks::Checks;
use crate::distracted::distracted;
use crate::message::Note;
use futures::Sink;
use futures::task::noop_waker_ref;
use hangup::outbox::{Importance, Outbox, OutboxError, OutboxSink};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::thread::panicking;
use std::time::Duration;
use tokio::time::timeout;

/// A sink, and the message that it has taken and not passed on.
pub(crate) struct NoteSink {
    sink: Pin<Box<OutboxSink<Note>>>,
    taken: Option<Note>,
    checks: Checks,
    durable: bool,
}

/// A method of `Sink`.
type Call = fn(Pin<&mut OutboxSink<Note>>, &mut Context<'_>) -> Poll<Result<(), OutboxError<Note>>>;

impl NoteSink {
    pub(crate) fn new(outbox: &Outbox<Note>, checks: &Checks, durable: bool) -> Self {
        Self {
            sink: Box::pin(outbox.sink()),
            taken: None,
            checks: checks.clone(),
            durable,
        }
    }

    /// Sends messages one by one. Waits so long for each.
    pub(crate) async fn send_all(mut self, notes: Vec<Note>, limit: Option<Duration>) {
        for note in notes {
            self.checks.offered(note, Importance::Important);
            self.call(Sink::poll_ready).await;
            self.start_send(note);
            let flushed = self.call(Sink::poll_flush);
            if timeout(limit.unwrap_or(Duration::MAX), flushed)
                .await
                .is_err()
            {
                // The next message waits behind this one, or both are dropped.
                if note.id % 2 == 0 {
                    return;
                }
            }
        }
        self.call(Sink::poll_close).await;
    }

    async fn call(&mut self, call: Call) {
        poll_fn(|cx| self.poll(cx, call)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>, call: Call) -> Poll<()> {
        let outcome = ready!(call(self.sink.as_mut(), cx));
        let taken = self.taken.take();
        match outcome {
            Ok(()) => taken
                .into_iter()
                .for_each(|note| self.checks.accepted_by_sink(note)),
            Err(error) => {
                assert_eq!(taken.as_ref(), Some(error.message()));
                self.checks.refused(&error);
            }
        }
        Poll::Ready(())
    }

    /// Polls it once, and leaves it. Returns whether it was ready.
    pub(crate) fn touch(&mut self, call: Call) -> bool {
        let mut cx = Context::from_waker(noop_waker_ref());
        self.poll(&mut cx, call).is_ready()
    }

    /// The sink was ready for this message. Whether the outbox has accepted it shows at the next poll.
    pub(crate) fn start_send(&mut self, note: Note) {
        match self.sink.as_mut().start_send(note) {
            Ok(()) => self.taken = Some(note),
            Err(error) => self.checks.refused(&error),
        }
    }

    /// Sends a message, and polls no more. Without a store the status says whether the message was accepted.
    pub(crate) fn send_and_leave(&mut self, note: Note, outbox: &Outbox<Note>) {
        let accepted = || {
            let status = outbox.status();
            status.queued as u64 + status.delivered + status.dropped
        };
        self.checks.offered(note, Importance::Important);
        let before = accepted();
        self.start_send(note);
        if !self.durable && accepted() > before {
            self.touch(Sink::poll_flush);
            assert!(self.taken.is_none());
        }
    }

    /// Sends one message, and drops the sink a while after there is room for it.
    pub(crate) async fn send_and_drop(mut self, note: Note, pause: Duration) {
        self.checks.offered(note, Importance::Important);
        self.start_send(note);
        let flushed = pin!(self.call(Sink::poll_flush));
        let _ = distracted(flushed, pause).await;
    }

    /// Whether it has taken a message for which there was no room.
    pub(crate) fn waits(&self) -> bool {
        self.taken.is_some()
    }
}

impl Drop for NoteSink {
    fn drop(&mut self) {
        if let Some(note) = self.taken.filter(|_| !panicking()) {
            self.checks.cancelled(note, self.durable);
        }
    }
}
