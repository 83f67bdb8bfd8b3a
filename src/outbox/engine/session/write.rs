//! Encodes and writes batches of messages.

use super::acknowledged::GRAIN;
use super::{BATCH, FIRST_LOOK, STREAM, Session, TURN};
use crate::outbox::engine::settle::Refusal;
use crate::outbox::envelope::Envelope;
use crate::outbox::message::Message;
use crate::outbox::queue::buffer::Taken;
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
                match user_code::guard(STREAM, || Ok(stream.poll_write(cx, output)))? {
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
                match user_code::guard(STREAM, || Ok(stream.poll_flush(cx)))? {
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
}
