//! One connection, from its first message to its end.
//!
//! The task polls the session. In each turn the session checks whether the connection has ended, reads replies, and
//! writes batches. If the peer's TCP confirms, it also asks the kernel how many bytes are acknowledged.
//!
//! # The end
//!
//! Replies and acknowledgements that arrived before the end still count ([`Session::take_last`]). All other written
//! messages are written again on the next connection.

mod acknowledged;
mod end;
mod read;
mod write;

pub(crate) use end::{SessionEnd, is_ack_timeout};

use self::end::AckTimeout;
use super::deferred::Deferred;
use super::encode::Encode;
use super::housekeeping::{Housekeeping, Interrupt};
use super::settings::Limits;
use super::shared::OutboxShared;
use crate::outbox::confirm::Replies;
use crate::outbox::connection::Parts;
use crate::outbox::message::Message;
use crate::outbox::processed::Processed;
use crate::outbox::queue::ack_marks::AckMarks;
use crate::outbox::queue::buffer::Taken;
use crate::outbox::user_code;
use crate::state::Closed;
use bytes::BytesMut;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// The largest batch, in bytes: a few writes, and small compared with the buffer of a socket.
pub(crate) const BATCH: usize = 64 * 1024;

/// How many reads, or batches, a turn may take before other tasks run.
const TURN: usize = 32;

/// After this many bytes the kernel is asked immediately. The answer takes up to three system calls, a small cost for this
/// number of bytes.
const LOOK_AFTER: usize = 4 * BATCH;

/// How long after a smaller batch the kernel is asked first.
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// Consecutive unknown results before giving up; a single one may be a race.
const UNKNOWN: u32 = 4;

/// How long the timer of [`Session::check_silence`] runs: tokio's timers count milliseconds.
const ASK: Duration = Duration::from_millis(1);

/// How long the shutdown of the stream may take after the last message.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// What panicked, in the error of a connection whose stream did. `connect` may return any stream.
const STREAM: &str = "the stream";

/// The state of one connection.
pub(crate) struct Session<'a, T: Message> {
    shared: &'a OutboxShared<T>,
    parts: Parts,
    /// Resolves when the connection closes.
    closed: Closed,
    encode: Box<dyn Encode<T>>,
    /// Reads the peer's replies. `None` if the peer's TCP confirms.
    replies: Option<&'a mut dyn Replies>,
    limits: &'a Limits,
    /// How many bytes of messages the next batch takes.
    pub(crate) batch: usize,
    /// The part of the batch that is not written yet.
    output: BytesMut,
    /// The length of the whole batch.
    length: usize,
    /// One above the highest position in the batch.
    end: u64,
    /// The batch is written to the stream, and not flushed yet.
    flush: bool,
    /// Messages while they are encoded. The allocation is reused.
    taken: Vec<Taken<T>>,
    /// An incomplete reply.
    input: BytesMut,
    /// The peer has closed its direction of the stream.
    eof: bool,
    processed: Vec<Processed>,
    /// The decoder has failed, or a call of the stream has panicked: neither is called again.
    broken: bool,
    /// The peer has sent at least one byte.
    any_received: bool,
    /// A message was confirmed, or rejected.
    pub(crate) confirmed: bool,
    /// A message was put into a batch.
    pub(crate) any_written: bool,
    /// When a message was last written or confirmed, while messages are unconfirmed. `ack_timeout` counts from here.
    idle_since: Option<Instant>,
    /// `Some` while `ack_timeout` has passed, and the runtime may not have asked the system for replies since.
    overdue: Option<Pin<Box<Sleep>>>,
    /// The position in the stream at which the present batch begins, and, once it is encoded, ends.
    position: u64,
    /// Which messages end at which position.
    marks: AckMarks,
    /// The position of the last mark.
    marked: u64,
    /// When to ask the kernel next.
    look: Option<Instant>,
    /// When the kernel was asked last.
    looked: Instant,
    /// How many bytes were written since then.
    unseen: usize,
    /// The interval until the question after the next.
    pause: Duration,
    /// How many answers in a row were unknown.
    unknown: u32,
    deferred: Deferred<T>,
}

impl<'a, T: Message> Session<'a, T> {
    pub(crate) fn new(
        shared: &'a OutboxShared<T>,
        parts: Parts,
        encode: Box<dyn Encode<T>>,
        replies: Option<&'a mut dyn Replies>,
        limits: &'a Limits,
        batch: usize,
    ) -> Self {
        let closed = parts.monitor.closed();
        let position = parts.monitor.accepted();
        Self {
            shared,
            parts,
            closed,
            encode,
            replies,
            limits,
            batch,
            output: BytesMut::new(),
            length: 0,
            end: 0,
            flush: false,
            taken: Vec::new(),
            input: BytesMut::new(),
            eof: false,
            processed: Vec::new(),
            broken: false,
            any_received: false,
            confirmed: false,
            any_written: false,
            idle_since: None,
            overdue: None,
            position,
            marks: AckMarks::default(),
            marked: position,
            look: None,
            looked: Instant::now(),
            unseen: LOOK_AFTER,
            pause: FIRST_LOOK,
            unknown: 0,
            deferred: Deferred::new(),
        }
    }

    /// Whether the peer's program has shown that it runs. An acknowledgement of its kernel does not show this.
    pub(crate) fn is_healthy(&self) -> bool {
        match self.replies {
            Some(_) => self.confirmed,
            None => self.any_received,
        }
    }

    /// Runs until the end of the connection. Then it takes in the replies and acknowledgements that had arrived.
    pub(crate) async fn run(&mut self, housekeeping: &mut Housekeeping<T>) -> SessionEnd {
        if let Err(error) = self.check_acknowledged() {
            return SessionEnd::Unsupported(error);
        }
        let end = poll_fn(|cx| self.poll(housekeeping, cx)).await;
        match end {
            SessionEnd::Interrupted(Interrupt::Drained) => {
                let shutdown = poll_fn(|cx| {
                    let stream = self.parts.stream.as_mut();
                    let shutdown = user_code::guard(STREAM, || Ok(stream.poll_shutdown(cx)));
                    shutdown.unwrap_or_else(|error| Poll::Ready(Err(error)))
                });
                let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, shutdown).await;
            }
            SessionEnd::Lost(_) | SessionEnd::Interrupted(Interrupt::Reconnect) => {
                self.take_last().await;
            }
            SessionEnd::Interrupted(Interrupt::Over) | SessionEnd::Unsupported(_) => {}
        }
        end
    }

    /// One turn, and then the task's housekeeping.
    fn poll(
        &mut self,
        housekeeping: &mut Housekeeping<T>,
        cx: &mut Context<'_>,
    ) -> Poll<SessionEnd> {
        match self.turn(cx) {
            Ok(more) => {
                let wants_messages = self.output.is_empty() && !self.flush;
                let silent = self.idle_since.zip(self.limits.ack_timeout);
                let silent = silent.filter(|_| self.overdue.is_none());
                let silent = silent.and_then(|(since, limit)| since.checked_add(limit));
                let at = [self.look, silent].into_iter().flatten().min();
                let (shared, deferred) = (self.shared, &mut self.deferred);
                if let Poll::Ready(interrupt) =
                    housekeeping.poll(shared, deferred, wants_messages, at, cx)
                {
                    return Poll::Ready(SessionEnd::Interrupted(interrupt));
                }
                if more {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Err(error) if error.kind() == ErrorKind::Unsupported && self.unknown >= UNKNOWN => {
                Poll::Ready(SessionEnd::Unsupported(error))
            }
            Err(error) => Poll::Ready(SessionEnd::Lost(error)),
        }
    }

    /// Does what can be done without waiting. Returns whether there is more to do immediately.
    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if let Poll::Ready(reason) = Pin::new(&mut self.closed).poll(cx) {
            return Err(reason.into());
        }
        // Before the read: see `check_silence`.
        let overdue = self.overdue.as_mut();
        let has_asked = overdue.is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        let mut more = self.read(cx, TURN)?;
        more |= self.write(cx)?;
        self.look_now()?;
        self.check_silence(has_asked, cx)?;
        Ok(more)
    }

    /// Fails if the peer has confirmed nothing for too long.
    ///
    /// A busy runtime polls this task before it has asked the system for events. Then a reply may have arrived long ago,
    /// and the read does not find it. A timer fires only after the runtime has asked, so one more timer decides. `has_asked`
    /// says that it fired before the last read.
    fn check_silence(&mut self, has_asked: bool, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(limit) = self.silent_for() else {
            self.overdue = None;
            return Ok(());
        };
        if has_asked {
            return Err(io::Error::new(ErrorKind::TimedOut, AckTimeout(limit)));
        }
        let timer = self.overdue.get_or_insert_with(|| Box::pin(sleep(ASK)));
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    /// The limit, if nothing was written or confirmed for longer than that.
    fn silent_for(&mut self) -> Option<Duration> {
        let limit = self.limits.ack_timeout?;
        if self.idle_since?.elapsed() < limit {
            return None;
        }
        // The buffer may hold nothing, because the message has expired, while its write is still blocked.
        let is_written = self.output.is_empty() && !self.flush;
        if is_written && self.shared.written() == 0 {
            self.idle_since = None;
            return None;
        }
        Some(limit)
    }

    /// A message was confirmed or rejected.
    fn progress(&mut self) {
        self.confirmed = true;
        if self.idle_since.is_some() {
            self.idle_since = Some(Instant::now());
        }
    }
}
