//! One connection, from its first message to its end.
//!
//! A session is polled by the task. Each turn it looks for the end of the connection, reads replies, writes batches,
//! and, if the peer's TCP confirms, asks the kernel how many bytes are acknowledged.
//!
//! # From acknowledged bytes to messages
//!
//! With `Confirm::Acknowledged` a session has to know which message ends at which byte of the stream. It counts bytes
//! from `Monitor::accepted` when the connection begins, and pushes a mark (bytes, number) into [`AckMarks`]:
//!
//! * on a stream that the monitor counts itself (`direct`), every [`GRAIN`] bytes inside a batch, and at its end;
//! * on a stream above it, such as TLS, only when a batch is flushed: how many bytes of the lower stream a
//!   message becomes is not known earlier.
//!
//! The kernel sends no event for an acknowledgement, so the session asks: after [`LOOK_AFTER`] bytes, or
//! [`FIRST_LOOK`] after a batch, and then at doubling intervals up to [`LAST_LOOK`] while marks are left.
//!
//! # The end
//!
//! Replies and acknowledgements that arrived before the end still count ([`Session::take_last`]). All other written
//! messages are written again on the next connection.

use super::core::{Deferred, Refusal};
use super::housekeeping::{Housekeeping, Interrupt};
use super::settings::{Encode, Limits};
use super::shared::OutboxShared;
use crate::errors::CloseReason;
use crate::outbox::confirm::Replies;
use crate::outbox::connection::Parts;
use crate::outbox::envelope::Envelope;
use crate::outbox::message::Message;
use crate::outbox::processed::Processed;
use crate::outbox::queue::ack_marks::AckMarks;
use crate::outbox::queue::buffer::Taken;
use crate::outbox::undelivered::UndeliveredReason;
use crate::outbox::unsendable::{Unsendable, UnsendableReason};
use crate::outbox::user_code;
use crate::state::{Closed, Transfer};
use bytes::{Buf, BytesMut};
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::time::Instant;

/// The largest batch, in bytes: a few writes, and small compared with the buffer of a socket.
pub(crate) const BATCH: usize = 64 * 1024;

/// The buffer of a batch is freed if one large message made it larger than this.
const KEEP: usize = 4 * BATCH;

/// How many bytes one read takes. Replies are short.
const READ: usize = 8 * 1024;

/// How many reads, or batches, a turn may take before other tasks run.
const TURN: usize = 32;

/// How many reads are made after the end: more than the receive buffer of a socket holds.
const LAST_READS: usize = 4096;

/// The distance of two marks inside a batch, in bytes.
const GRAIN: usize = 4 * 1024;

/// After this many bytes the kernel is asked immediately. The answer takes three system calls, which cost little
/// beside so many bytes.
const LOOK_AFTER: usize = 4 * BATCH;

/// How long after a smaller batch the kernel is asked first.
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// The interval doubles from [`FIRST_LOOK`] up to this.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// Consecutive unknown results before giving up; a single one may be a race.
const UNKNOWN: u32 = 4;

/// How long the shutdown of the stream may take after the last message.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long the last replies of a connection that the peer ended have to come out of the socket: they are in it.
const LAST_REPLIES: Duration = Duration::from_secs(1);

/// How a connection ended.
pub(crate) enum SessionEnd {
    /// The connection is lost, or no longer of use.
    Lost(io::Error),
    /// The kernel does not report the acknowledged bytes of this stream, so no message would ever be confirmed.
    Unsupported(io::Error),
    /// The task has to leave the connection.
    Interrupted(Interrupt),
}

/// The error for `Builder::ack_timeout`: the peer confirmed nothing in time.
#[derive(Debug)]
struct AckTimeout(Duration);

impl fmt::Display for AckTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hangup: the peer confirmed nothing for {:?}", self.0)
    }
}

impl Error for AckTimeout {}

/// Whether a connection was ended by `Builder::ack_timeout`. The network is then not the cause.
pub(crate) fn is_ack_timeout(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<AckTimeout>())
}

/// The state of one connection.
pub(crate) struct Session<'a, T: Message> {
    shared: &'a OutboxShared<T>,
    parts: Parts,
    /// Resolves when the connection closes.
    closed: Closed,
    encode: Encode<T>,
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
    /// The messages of a batch while they are encoded. The allocation is reused.
    taken: Vec<Taken<T>>,
    /// An incomplete reply.
    input: BytesMut,
    /// The peer has closed its direction of the stream.
    eof: bool,
    processed: Vec<Processed>,
    /// The peer has sent at least one byte.
    heard: bool,
    /// A message was confirmed, or rejected.
    pub(crate) confirmed: bool,
    /// A message was put into a batch.
    pub(crate) any_written: bool,
    /// When a message was last written or confirmed, while messages are unconfirmed. `ack_timeout` counts from here.
    idle_since: Option<Instant>,
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
        encode: Encode<T>,
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
            heard: false,
            confirmed: false,
            any_written: false,
            idle_since: None,
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
            None => self.heard,
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
                let farewell = poll_fn(|cx| self.parts.stream.as_mut().poll_shutdown(cx));
                let _ = tokio::time::timeout(FAREWELL, farewell).await;
            }
            SessionEnd::Lost(_) | SessionEnd::Interrupted(Interrupt::Reconnect) => {
                self.take_last().await;
            }
            SessionEnd::Interrupted(Interrupt::Over) | SessionEnd::Unsupported(_) => {}
        }
        end
    }

    /// Refuses a stream whose acknowledged bytes are not known, before anything is written to it.
    fn check_acknowledged(&self) -> io::Result<()> {
        let monitor = &self.parts.monitor;
        let known = || monitor.is_closed() || monitor.transfer().acknowledged.is_some();
        if self.replies.is_some() || (0..UNKNOWN).any(|_| known()) {
            return Ok(());
        }
        Err(unknown_acknowledged())
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
        let mut more = self.read(cx, TURN)?;
        more |= self.write(cx)?;
        self.look_now()?;
        self.check_silence()?;
        Ok(more)
    }

    /// Fails if the peer has confirmed nothing for too long.
    fn check_silence(&mut self) -> io::Result<()> {
        let (Some(since), Some(limit)) = (self.idle_since, self.limits.ack_timeout) else {
            return Ok(());
        };
        if since.elapsed() < limit {
            return Ok(());
        }
        // The buffer may hold nothing, because the message has expired, while its write is still blocked.
        let is_written = self.output.is_empty() && !self.flush;
        if is_written && self.shared.written() == 0 {
            self.idle_since = None;
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::TimedOut, AckTimeout(limit)))
    }

    /// A message was confirmed or rejected.
    fn progress(&mut self) {
        self.confirmed = true;
        if self.idle_since.is_some() {
            self.idle_since = Some(Instant::now());
        }
    }

    /// Reads until nothing is left, at most `times` times. Returns whether there may be more.
    fn read(&mut self, cx: &mut Context<'_>, times: usize) -> io::Result<bool> {
        for _ in 0..times {
            if self.eof {
                return Ok(false);
            }
            let mut room = [MaybeUninit::uninit(); READ];
            let mut room = ReadBuf::uninit(&mut room);
            match self.parts.stream.as_mut().poll_read(cx, &mut room) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => continue,
                Poll::Ready(read) => read?,
            }
            self.eof = room.filled().is_empty();
            self.heard |= !self.eof;
            if self.replies.is_some() {
                if self.eof {
                    // No later message could be confirmed. The rest of `input` is an incomplete reply.
                    return Err(CloseReason::PeerClosed.into());
                }
                self.input.extend_from_slice(room.filled());
                self.decode()?;
            }
        }
        Ok(true)
    }

    /// Decodes the replies in `input` and applies them.
    fn decode(&mut self) -> io::Result<()> {
        let Some(replies) = &mut self.replies else {
            return Ok(());
        };
        self.processed.clear();
        let decoded = loop {
            match replies.next(&mut self.input, &mut self.processed) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if !self.processed.is_empty() && self.shared.apply(&self.processed, &mut self.deferred) {
            self.progress();
        }
        decoded?;
        if self.input.len() > self.limits.max_reply {
            let most = self.limits.max_reply;
            let what = format!("hangup: a reply is longer than {most} bytes: see `max_reply`");
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        Ok(())
    }

    /// Writes batches until no message is left or the stream takes no more. Returns whether there may be more.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        for _ in 0..TURN {
            while !self.output.is_empty() {
                let written = self.parts.stream.as_mut().poll_write(cx, &self.output);
                match written {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(Ok(0)) => return Err(ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(written)) => {
                        self.output.advance(written);
                        self.written();
                    }
                    Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                    Poll::Ready(Err(error)) => return Err(error),
                }
            }
            if self.flush {
                match self.parts.stream.as_mut().poll_flush(cx) {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(flushed) => flushed?,
                }
                self.flush = false;
                if self.replies.is_none() {
                    if !self.parts.direct {
                        self.marks.push(self.parts.monitor.accepted(), self.end);
                    }
                    self.pause = FIRST_LOOK;
                    self.look_soon()?;
                }
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Bytes were written. A slow connection is not a silent peer, so `ack_timeout` starts again.
    fn written(&mut self) {
        if self.limits.ack_timeout.is_some() {
            self.idle_since = Some(Instant::now());
        }
    }

    /// Encodes the next batch. Returns whether there is one.
    fn fill(&mut self) -> io::Result<bool> {
        if self.length > KEEP {
            self.output = BytesMut::new();
        }
        self.output.clear();
        self.length = 0;
        let (batch, deferred) = (self.batch, &mut self.deferred);
        if !self.shared.take(batch, &mut self.taken, deferred) {
            return Ok(false);
        }
        self.any_written = true;
        self.flush = true;
        let mut taken = std::mem::take(&mut self.taken);
        let encoded = taken.drain(..).try_for_each(|taken| self.encode(taken));
        self.taken = taken;
        self.mark(self.end, 0);
        self.position += self.output.len() as u64;
        self.length = self.output.len();
        self.unseen += self.length;
        encoded.map(|()| true)
    }

    /// Appends a message to the batch. A message that the encoder refuses is set aside.
    fn encode(&mut self, taken: Taken<T>) -> io::Result<()> {
        let Taken {
            number,
            position,
            attempt,
            since,
            message,
        } = taken;
        let length = self.output.len();
        let envelope = Envelope {
            number,
            attempt: attempt.into(),
            first_sent: self.shared.instant(since),
            message,
        };
        let (encode, output) = (&mut self.encode, &mut self.output);
        let mut returned = false;
        let encoded = user_code::guard("the encoder", || {
            let encoded = encode(envelope, output);
            returned = true;
            encoded
        });
        if let Err(error) = encoded {
            self.output.truncate(length);
            self.set_aside(number, &error);
            if !returned {
                // After a panic the encoder may be in any state: the next connection gets a new one.
                return Err(error);
            }
        }
        self.end = position + 1;
        self.mark(self.end, GRAIN.min(self.batch));
        Ok(())
    }

    /// Sets aside a message on which the encoder failed.
    fn set_aside(&mut self, number: u64, error: &io::Error) {
        // The encoder has consumed one copy. The buffer has another, unless a sender made room by dropping it.
        let Some(message) = self.shared.held(number) else {
            return;
        };
        let why: Arc<str> = error.to_string().into();
        let discard = self.shared.hand_over(Unsendable {
            number,
            message: Some(message),
            bytes: None,
            reason: UnsendableReason::EncodeFailed(why.clone()),
        });
        let refusal = Refusal {
            reason: UndeliveredReason::EncodeFailed(why),
            bury: !discard,
        };
        self.shared.refuse(number, &refusal, &mut self.deferred);
    }

    /// Notes that all messages before `position` end at the present end of the batch, unless the last mark is fewer than
    /// `grain` bytes away.
    fn mark(&mut self, position: u64, grain: usize) {
        if self.replies.is_some() || !self.parts.direct {
            return;
        }
        let end = self.position + self.output.len() as u64;
        if end >= self.marked + grain as u64 {
            self.marks.push(end, position);
            self.marked = end;
        }
    }

    /// A batch was flushed. Asks the kernel now if enough time or bytes have passed, or else plans the question.
    fn look_soon(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let next = self.looked + FIRST_LOOK;
        if next <= now || self.unseen >= LOOK_AFTER {
            self.look = Some(now);
            return self.look_now();
        }
        self.look = Some(self.look.map_or(next, |look| look.min(next)));
        Ok(())
    }

    /// Asks the kernel for the acknowledged bytes, if it is time to.
    fn look_now(&mut self) -> io::Result<()> {
        let now = match self.look {
            Some(look) => Some(Instant::now()).filter(|now| look <= *now),
            None => None,
        };
        let Some(now) = now else {
            return Ok(());
        };
        self.looked = now;
        self.unseen = 0;
        match self.parts.monitor.transfer() {
            Transfer {
                acknowledged: Some(acknowledged),
                ..
            } => {
                self.unknown = 0;
                self.acknowledged(acknowledged);
            }
            _ => {
                self.unknown += 1;
                if self.unknown == UNKNOWN {
                    return Err(unknown_acknowledged());
                }
            }
        }
        if self.marks.is_empty() {
            self.look = None;
        } else {
            self.look = Some(now + self.pause);
            self.pause = LAST_LOOK.min(self.pause * 2);
        }
        Ok(())
    }

    /// The first `bytes` bytes of the stream are acknowledged. A confirmation also doubles the batch, up to [`BATCH`].
    fn acknowledged(&mut self, bytes: u64) {
        let Some(position) = self.marks.pass(bytes) else {
            return;
        };
        if self.shared.confirm_below(position, &mut self.deferred) {
            self.progress();
            self.batch = BATCH.min(self.batch.saturating_mul(2));
        }
    }

    /// The connection is over. Applies the replies and acknowledgements that arrived before.
    async fn take_last(&mut self) {
        if self.replies.is_none() {
            if let Some(acknowledged) = self.parts.monitor.transfer().acknowledged {
                self.acknowledged(acknowledged);
            }
            return;
        }
        // After an end that the peer made, the socket holds its last replies and then the end. The runtime may
        // not know of them yet: a read is pending until its driver has run.
        let by_peer = self.parts.monitor.status().reason().is_some_and(is_by_peer);
        let rest = poll_fn(|cx| match self.read(cx, LAST_READS) {
            Ok(false) if by_peer && !self.eof => Poll::Pending,
            Ok(_) | Err(_) => Poll::Ready(()),
        });
        let _ = tokio::time::timeout(LAST_REPLIES, rest).await;
    }
}

/// Whether a read finds the end behind what had arrived.
fn is_by_peer(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::PeerClosed
        | CloseReason::Reset
        | CloseReason::Truncated
        | CloseReason::Tls
        | CloseReason::TlsAlert
        | CloseReason::Failed(_) => true,
        CloseReason::TimedOut
        | CloseReason::Unreachable
        | CloseReason::Stalled
        | CloseReason::Finished
        | CloseReason::Aborted
        | CloseReason::Dropped
        | CloseReason::RuntimeShutdown => false,
    }
}

/// The error for a stream whose acknowledged bytes are not known.
fn unknown_acknowledged() -> io::Error {
    io::Error::new(
        ErrorKind::Unsupported,
        "hangup: the bytes that the peer has acknowledged are not known of this stream: use \
         `Confirm::by_peer`, or give a TLS stream as `Connection::over(tls, monitor_of_the_tcp_stream)`",
    )
}
