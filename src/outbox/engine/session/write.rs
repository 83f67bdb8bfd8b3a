//! Encodes and writes batches of messages.

use super::acknowledged::GRAIN;
use super::{BATCH, FIRST_LOOK, STREAM, Session, TURN};
use crate::outbox::engine::encode::{Batch, Begun};
use crate::outbox::engine::settle::Refusal;
use crate::outbox::message::Message;
use crate::outbox::undelivered::UndeliveredReason;
use crate::outbox::unsendable::{Unsendable, UnsendableReason};
use crate::outbox::user_code;
use bytes::{Buf, BytesMut};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// The buffer of a batch is freed if one large message made it larger than this.
const KEEP: usize = 4 * BATCH;

impl<T: Message> Session<'_, T> {
    /// Writes batches until no message is left or the stream takes no more. Returns whether there may be more.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        for _ in 0..TURN {
            while !self.output.is_empty() {
                let (stream, output) = (self.parts.stream.as_mut(), &self.output);
                let polled = user_code::guard(STREAM, || Ok(stream.poll_write(cx, output)));
                match polled.inspect_err(|_| self.broken = true)? {
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
                let stream = self.parts.stream.as_mut();
                let polled = user_code::guard(STREAM, || Ok(stream.poll_flush(cx)));
                match polled.inspect_err(|_| self.broken = true)? {
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
        // Back to the front of the allocation, while there is nothing to copy: the next batch may not fit behind the last one.
        let front = self.output.capacity().saturating_add(1);
        let _ = self.output.try_reclaim(front);
        self.length = 0;
        let now = Instant::now();
        let mut room = self.batch;
        let mut messages = std::mem::take(&mut self.taken);
        let mut encoded = Ok(());
        while room > 0 && encoded.is_ok() {
            let taken = self
                .shared
                .take(room, now, &mut messages, &mut self.deferred);
            if taken == 0 {
                break;
            }
            self.any_written = true;
            self.flush = true;
            room = room.saturating_sub(taken);
            encoded = self.encode(Batch::new(messages.drain(..), self.shared.started));
        }
        self.taken = messages;
        if self.flush {
            self.mark(self.end, 0);
        }
        self.position += self.output.len() as u64;
        self.length = self.output.len();
        self.unseen += self.length;
        encoded.map(|()| self.flush)
    }

    /// Appends messages to the batch. Those that the encoder refuses are set aside.
    fn encode(&mut self, mut batch: Batch<'_, T>) -> io::Result<()> {
        let grain = GRAIN.min(self.batch);
        while !batch.is_empty() {
            let until = self.output.len() + grain;
            let (encode, output) = (&mut self.encode, &mut self.output);
            let encoded = user_code::guard("the encoder", || {
                Ok(encode.encode(&mut batch, output, until))
            });
            match encoded {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.set_aside(batch.last(), &error),
                Err(panic) => {
                    self.set_aside(batch.last(), &panic);
                    // The encoder may be in any state: the next connection gets a new one.
                    return Err(panic);
                }
            }
            self.end = batch.last().position + 1;
            self.mark(self.end, grain);
        }
        Ok(())
    }

    /// Sets aside a message on which the encoder failed.
    fn set_aside(&mut self, failed: Begun, error: &io::Error) {
        self.output.truncate(failed.start);
        let number = failed.number;
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
}
