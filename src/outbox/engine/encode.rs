//! The encoder of one connection, as a session calls it.
//!
//! The loop over the messages is compiled for each encoder. So a session makes one dynamic call, and catches panics once,
//! for many messages.

use crate::outbox::envelope::Envelope;
use crate::outbox::queue::buffer::Taken;
use crate::outbox::user_code;
use bytes::BytesMut;
use std::error::Error;
use std::io;
use std::time::Duration;
use std::vec::Drain;
use tokio::time::Instant;
use tokio_util::codec::Encoder;

/// Encodes messages for one connection.
pub(crate) trait Encode<T>: Send {
    /// Appends messages to `output` until it is `until` bytes long, or no message is left.
    ///
    /// If it fails or panics, [`Batch::last`] is the message on which it did.
    fn encode(
        &mut self,
        batch: &mut Batch<'_, T>,
        output: &mut BytesMut,
        until: usize,
    ) -> io::Result<()>;
}

/// Messages that are being encoded.
pub(crate) struct Batch<'a, T> {
    messages: Drain<'a, Taken<T>>,
    /// Zero of the times in the messages.
    started: Instant,
    last: Begun,
}

/// A message that the encoder was given.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Begun {
    pub(crate) number: u64,
    pub(crate) position: u64,
    /// The length of the output before the message.
    pub(crate) start: usize,
}

impl<'a, T> Batch<'a, T> {
    pub(crate) fn new(messages: Drain<'a, Taken<T>>, started: Instant) -> Self {
        Self {
            messages,
            started,
            last: Begun::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.as_slice().is_empty()
    }

    /// The last message that the encoder was given.
    pub(crate) fn last(&self) -> Begun {
        self.last
    }

    /// Makes an item of each message, and gives it to `encoder`, as [`Encode::encode`] says.
    #[inline]
    fn each<I, E>(
        &mut self,
        encoder: &mut E,
        output: &mut BytesMut,
        until: usize,
        item: impl Fn(Taken<T>, Instant) -> I,
    ) -> io::Result<()>
    where
        E: Encoder<I>,
        E::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        while output.len() < until
            && let Some(taken) = self.messages.next()
        {
            self.last = Begun {
                number: taken.number,
                position: taken.position,
                start: output.len(),
            };
            let encoded = encoder.encode(item(taken, self.started), output);
            encoded.map_err(|error| user_code::io_error(error.into()))?;
        }
        Ok(())
    }
}

/// An encoder that sees the message alone.
pub(crate) struct Plain<E>(pub(crate) E);

/// An encoder that sees the envelope.
pub(crate) struct WithEnvelope<E>(pub(crate) E);

impl<T, E> Encode<T> for Plain<E>
where
    E: Encoder<T> + Send,
    E::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn encode(
        &mut self,
        batch: &mut Batch<'_, T>,
        output: &mut BytesMut,
        until: usize,
    ) -> io::Result<()> {
        batch.each(&mut self.0, output, until, |taken, _| taken.message)
    }
}

impl<T, E> Encode<T> for WithEnvelope<E>
where
    E: Encoder<Envelope<T>> + Send,
    E::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn encode(
        &mut self,
        batch: &mut Batch<'_, T>,
        output: &mut BytesMut,
        until: usize,
    ) -> io::Result<()> {
        batch.each(&mut self.0, output, until, |taken, started| {
            let since = Duration::from_nanos(taken.since);
            Envelope {
                number: taken.number,
                attempt: taken.attempt.into(),
                first_sent: started.checked_add(since).unwrap_or(started),
                message: taken.message,
            }
        })
    }
}
