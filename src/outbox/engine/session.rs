//! One connection: from the first message on it to its end.

use super::housekeeping::{House, Stop};
use super::shared::Shared;
use super::state::After;
use crate::outbox::builder::Encode;
use crate::outbox::confirm::Replies;
use crate::outbox::connection::Parts;
use crate::outbox::queue::ack_marks::Marks;
use crate::outbox::{Message, Processed};
use crate::{CloseReason, Closed, Transfer};
use bytes::{Buf, BytesMut};
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::time::Instant;

/// How much is encoded at once: a few writes' worth, and small against any socket's buffer.
const BATCH: usize = 64 * 1024;

/// The buffer of a batch is given back if one large message has made it larger than this.
const KEEP: usize = 4 * BATCH;

/// How much is read at once: replies are short.
const READ: usize = 8 * 1024;

/// How many reads or batches there are before other tasks have their turn.
const TURN: usize = 32;

/// How many reads there are after the end: more than any socket's buffer holds.
const LAST_READS: usize = 4096;

/// The kernel tells nobody of an acknowledgement, so it is asked: at full speed after so many bytes, which
/// makes its answer, three system calls, cost next to nothing,
const LOOK_AFTER: usize = 4 * BATCH;

/// otherwise after a batch, then after this time,
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// and then twice as long after each time, up to this.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// So many looks in a row that found nothing known: one alone can be a moment's, in the thick of
/// acknowledgements.
const UNKNOWN: u32 = 4;

/// How long the peer has to take our shutdown.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a connection ended.
pub(crate) enum End {
    /// The connection is lost, or of no use any more.
    Lost(io::Error),
    Stop(Stop),
}

pub(crate) struct Session<'a, T: Message> {
    shared: &'a Shared<T>,
    parts: Parts,
    closed: Closed,
    encode: Encode<T>,
    /// `None` where the peer's TCP confirms.
    replies: Option<&'a mut dyn Replies>,
    /// The batch that is being written; below `end` are its messages.
    output: BytesMut,
    /// How large the batch was at first.
    length: usize,
    end: u64,
    /// The batch is written, and has to be flushed.
    flush: bool,
    batch: Vec<(u64, T)>,
    input: BytesMut,
    /// Nothing more comes from the peer.
    eof: bool,
    said: Vec<Processed>,
    marks: Marks,
    /// When to look at what is acknowledged,
    look: Option<Instant>,
    /// when that was done last,
    looked: Instant,
    /// and how many bytes were written since.
    unseen: usize,
    pause: Duration,
    unknown: u32,
    after: After<T>,
}

impl<'a, T: Message> Session<'a, T> {
    pub(crate) fn new(
        shared: &'a Shared<T>,
        parts: Parts,
        encode: Encode<T>,
        mut replies: Option<&'a mut dyn Replies>,
    ) -> Self {
        if let Some(replies) = &mut replies {
            replies.renew();
        }
        let closed = parts.monitor.closed();
        Self {
            shared,
            parts,
            closed,
            encode,
            replies,
            output: BytesMut::new(),
            length: 0,
            end: 0,
            flush: false,
            batch: Vec::new(),
            input: BytesMut::new(),
            eof: false,
            said: Vec::new(),
            marks: Marks::default(),
            look: None,
            looked: Instant::now(),
            unseen: LOOK_AFTER,
            pause: FIRST_LOOK,
            unknown: 0,
            after: After::new(),
        }
    }

    /// Writes and reads until the end, and then takes in what is still known of this connection.
    pub(crate) async fn run(mut self, house: &mut House) -> End {
        let end = poll_fn(|cx| self.poll(house, cx)).await;
        match end {
            End::Stop(Stop::Drained) => {
                let farewell = poll_fn(|cx| self.parts.stream.as_mut().poll_shutdown(cx));
                let _ = tokio::time::timeout(FAREWELL, farewell).await;
            }
            End::Lost(_) => {
                poll_fn(|cx| {
                    self.last_words(cx);
                    Poll::Ready(())
                })
                .await;
            }
            End::Stop(_) => {}
        }
        end
    }

    fn poll(&mut self, house: &mut House, cx: &mut Context<'_>) -> Poll<End> {
        match self.turn(cx) {
            Ok(more) => {
                let hungry = self.output.is_empty() && !self.flush;
                let at = self.look;
                if let Poll::Ready(stop) = house.poll(self.shared, &mut self.after, hungry, at, cx)
                {
                    return Poll::Ready(End::Stop(stop));
                }
                if more {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Err(error) => Poll::Ready(End::Lost(error)),
        }
    }

    /// Does all that can be done now. Whether there is more to do at once.
    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if let Poll::Ready(reason) = Pin::new(&mut self.closed).poll(cx) {
            return Err(reason.into());
        }
        let mut more = self.read(cx, TURN)?;
        more |= self.write(cx)?;
        self.look_now()?;
        Ok(more)
    }

    /// Reads until there is nothing to read, at most `times`. Whether there may be more.
    fn read(&mut self, cx: &mut Context<'_>, times: usize) -> io::Result<bool> {
        for _ in 0..times {
            if self.eof {
                return Ok(false);
            }
            let mut room = [std::mem::MaybeUninit::uninit(); READ];
            let mut room = ReadBuf::uninit(&mut room);
            match self.parts.stream.as_mut().poll_read(cx, &mut room) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => continue,
                Poll::Ready(read) => read?,
            }
            self.eof = room.filled().is_empty();
            if self.replies.is_some() {
                self.input.extend_from_slice(room.filled());
                let heard = self.listen();
                if self.eof {
                    // Nothing that is written from now on would be confirmed. A reply that was cut short
                    // is no reply.
                    return Err(CloseReason::PeerClosed.into());
                }
                heard?;
            }
        }
        Ok(true)
    }

    /// Decodes what was read.
    fn listen(&mut self) -> io::Result<()> {
        let Some(replies) = &mut self.replies else {
            return Ok(());
        };
        self.said.clear();
        let heard = loop {
            match replies.next(&mut self.input, self.eof) {
                Ok(Some(Some(said))) => self.said.push(said),
                Ok(Some(None)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if !self.said.is_empty() {
            self.shared.confirm(None, &self.said, &mut self.after);
        }
        heard
    }

    /// Writes until nothing is left or nothing more is taken. Whether there may be more.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        for _ in 0..TURN {
            while !self.output.is_empty() {
                let written = self.parts.stream.as_mut().poll_write(cx, &self.output);
                match written {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(Ok(0)) => return Err(ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(written)) => self.output.advance(written),
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
                    self.marks.push(self.parts.monitor.accepted(), self.end);
                    self.pause = FIRST_LOOK;
                    self.look_soon()?;
                }
            }
            if !self.fill() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Encodes the next batch. Whether there is one.
    fn fill(&mut self) -> bool {
        if self.length > KEEP {
            self.output = BytesMut::new();
        }
        self.output.clear();
        self.length = 0;
        if !self.shared.take(BATCH, &mut self.batch, &mut self.after) {
            return false;
        }
        for (number, message) in self.batch.drain(..) {
            let length = self.output.len();
            if let Err(error) = (self.encode)(message, &mut self.output) {
                self.output.truncate(length);
                let why: Arc<str> = error.to_string().into();
                self.shared.refuse(number, &why, &mut self.after);
            }
            self.end = number + 1;
        }
        self.length = self.output.len();
        self.unseen += self.length;
        self.flush = true;
        true
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
            _ if self.unknown + 1 == UNKNOWN => {
                return Err(io::Error::new(
                    ErrorKind::Unsupported,
                    "hangup: what the peer has acknowledged is not known of this stream: use \
                     Confirm::ByPeer",
                ));
            }
            _ => self.unknown += 1,
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
        if let Some(number) = self.marks.pass(bytes) {
            self.shared.confirm(Some(number), &[], &mut self.after);
        }
    }

    /// The connection is over: what had arrived before counts.
    fn last_words(&mut self, cx: &mut Context<'_>) {
        if self.replies.is_some() {
            let _ = self.read(cx, LAST_READS);
        } else if let Some(acknowledged) = self.parts.monitor.transfer().acknowledged {
            self.acknowledged(acknowledged);
        }
    }
}
