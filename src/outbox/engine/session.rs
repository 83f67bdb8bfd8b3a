//! One connection: from the first message on it to its end.

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

/// The largest batch: a few writes' worth, and small against any socket's buffer.
pub(crate) const BATCH: usize = 64 * 1024;

/// The buffer of a batch is freed if one large message has made it larger than this.
const KEEP: usize = 4 * BATCH;

/// How many bytes one read takes: replies are short.
const READ: usize = 8 * 1024;

/// How many reads or batches go on before other tasks have their turn.
const TURN: usize = 32;

/// How many reads there are after the end: more than any socket's buffer holds.
const LAST_READS: usize = 4096;

/// Inside a batch, messages are told apart by what is acknowledged at least this often.
const GRAIN: usize = 4 * 1024;

/// The kernel reports no acknowledgement, so it must be asked. It is asked immediately after this many bytes, which
/// makes its answer, three system calls, cost next to nothing;
const LOOK_AFTER: usize = 4 * BATCH;

/// otherwise this long after a batch,
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// and then after twice the time again and again, up to this.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// Consecutive unknown results before giving up; a single one may be a race.
const UNKNOWN: u32 = 4;

/// How long the peer has to take our shutdown.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a connection ended.
pub(crate) enum SessionEnd {
    /// The connection is lost, or of no use any more.
    Lost(io::Error),
    /// Its acknowledged bytes are not known, so that nothing would ever be confirmed.
    Unsupported(io::Error),
    Interrupted(Interrupt),
}

/// No confirmation came in time.
#[derive(Debug)]
struct AckTimeout(Duration);

impl fmt::Display for AckTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hangup: the peer confirmed nothing for {:?}", self.0)
    }
}

impl Error for AckTimeout {}

pub(crate) fn is_ack_timeout(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<AckTimeout>())
}

pub(crate) struct Session<'a, T: Message> {
    shared: &'a OutboxShared<T>,
    parts: Parts,
    closed: Closed,
    encode: Encode<T>,
    /// `None` where the peer's TCP confirms.
    replies: Option<&'a mut dyn Replies>,
    limits: &'a Limits,
    /// How many bytes of messages go into a batch.
    pub(crate) batch: usize,
    /// The rest of the batch that is being written.
    output: BytesMut,
    /// The batch's length before any of it was written.
    length: usize,
    /// All messages of the batch are before this position.
    end: u64,
    /// The batch is written, and has to be flushed.
    flush: bool,
    taken: Vec<Taken<T>>,
    input: BytesMut,
    /// Nothing more comes from the peer.
    eof: bool,
    processed: Vec<Processed>,
    /// The peer has sent something.
    heard: bool,
    /// A message was confirmed, or rejected.
    pub(crate) confirmed: bool,
    /// A message was put into a batch.
    pub(crate) any_written: bool,
    /// Since when there was neither a confirmation nor a write, while messages are unconfirmed.
    idle_since: Option<Instant>,
    /// How many bytes the stream will have accepted when the batch is written.
    position: u64,
    marks: AckMarks,
    /// The position of the last mark.
    marked: u64,
    /// When to look at what is acknowledged.
    look: Option<Instant>,
    /// When that was done last.
    looked: Instant,
    /// How many bytes were written since.
    unseen: usize,
    pause: Duration,
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

    /// Whether the peer's program has shown that it lives. What its kernel acknowledges shows nothing.
    pub(crate) fn is_healthy(&self) -> bool {
        match self.replies {
            Some(_) => self.confirmed,
            None => self.heard,
        }
    }

    /// Writes and reads until the end, and then takes in what is still known of this connection.
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
                poll_fn(|cx| {
                    self.take_last(cx);
                    Poll::Ready(())
                })
                .await;
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

    /// Does all that can be done now. Returns whether there is more to do immediately.
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
        // A message may expire while it is being written: its write still hangs.
        let is_written = self.output.is_empty() && !self.flush;
        if is_written && self.shared.written() == 0 {
            self.idle_since = None;
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::TimedOut, AckTimeout(limit)))
    }

    /// Something was confirmed.
    fn progress(&mut self) {
        self.confirmed = true;
        if self.idle_since.is_some() {
            self.idle_since = Some(Instant::now());
        }
    }

    /// Reads until there is nothing to read, at most `times`. Returns whether there may be more.
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
                    // Nothing that is written from now on would be confirmed. What is left in `input` was cut
                    // short, and is no reply.
                    return Err(CloseReason::PeerClosed.into());
                }
                self.input.extend_from_slice(room.filled());
                self.decode()?;
            }
        }
        Ok(true)
    }

    /// Decodes what was read.
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

    /// Writes until nothing is left or nothing more is taken. Returns whether there may be more.
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

    /// Bytes were written: a slow connection is not a silent peer.
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

    /// Puts a message into the batch.
    fn encode(&mut self, taken: Taken<T>) -> io::Result<()> {
        let Taken {
            number,
            position,
            attempt,
            since,
            message,
        } = taken;
        let length = self.output.len();
        let copy = message.clone();
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
            self.set_aside(number, copy, &error);
            if !returned {
                // What the panic left half-made is not used again.
                return Err(error);
            }
        }
        self.end = position + 1;
        self.mark(self.end, GRAIN.min(self.batch));
        Ok(())
    }

    /// The encoder failed on a message.
    fn set_aside(&mut self, number: u64, message: T, error: &io::Error) {
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

    /// All messages before `position` end where the batch ends now. Marks that, `grain` bytes after the last mark.
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

    /// A batch is written: looks now if the last look is a while ago, in time or in bytes.
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

    /// Looks at what is acknowledged, if it is time to.
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

    fn acknowledged(&mut self, bytes: u64) {
        let Some(position) = self.marks.pass(bytes) else {
            return;
        };
        if self.shared.confirm_below(position, &mut self.deferred) {
            self.progress();
            self.batch = BATCH.min(self.batch.saturating_mul(2));
        }
    }

    /// The connection is over: replies and acknowledgements that had arrived before count.
    fn take_last(&mut self, cx: &mut Context<'_>) {
        if self.replies.is_some() {
            let _ = self.read(cx, LAST_READS);
        } else if let Some(acknowledged) = self.parts.monitor.transfer().acknowledged {
            self.acknowledged(acknowledged);
        }
    }
}

fn unknown_acknowledged() -> io::Error {
    io::Error::new(
        ErrorKind::Unsupported,
        "hangup: the bytes that the peer has acknowledged are not known of this stream: use \
         `Confirm::by_peer`, or give a TLS stream as `Connection::over(tls, monitor_of_the_tcp_stream)`",
    )
}
