//! The messages of the simulation, and their bytes.

use crate::checks::Checks;
use bytes::{Bytes, BytesMut};
use hangup::outbox::{Envelope, Message, Processed, Record};
use std::error::Error;
use std::io;
use std::panic::resume_unwind;
use tokio_util::codec::Encoder;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) id: u64,
    pub(crate) important: bool,
    pub(crate) pad: usize,
    /// Those of one key keep their order.
    pub(crate) key: u8,
    pub(crate) priority: u8,
}

impl Note {
    /// Whether the encoder refuses it, or panics.
    pub(crate) fn is_unencodable(&self) -> bool {
        self.breaks_the_encoder() || self.id % 50 == 33
    }

    fn breaks_the_encoder(&self) -> bool {
        self.id % 100 == 44
    }

    /// Whether its record cannot be decoded.
    pub(crate) fn is_undecodable(&self) -> bool {
        self.id % 50 == 21
    }

    /// Whether a program of the peer that has a fault closes when it reads it.
    pub(crate) fn is_poison(&self) -> bool {
        self.id % 40 == 29
    }

    /// The message of a record, decodable or not.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let text = std::str::from_utf8(bytes)?;
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or("too few words");
        Ok(Self {
            id: word()?.parse()?,
            important: word()?.parse()?,
            pad: word()?.parse()?,
            key: word()?.parse()?,
            priority: word()?.parse()?,
        })
    }

    /// An id that does not grow. Of four messages in a row, the name of each begins with that of the next one, so that a
    /// reply that is cut short names a message which the peer has not read.
    pub(crate) fn name(&self) -> u64 {
        let row = self.id / 4;
        // No shortest name ends in 9.
        let shortest = row / 9 * 10 + row % 9 + 10;
        (self.id % 4..3).fold(shortest, |name, _| name * 10 + 9)
    }
}

impl Message for Note {
    fn size(&self) -> usize {
        20 + self.pad
    }
}

impl Record for Note {
    fn to_bytes(&self) -> Bytes {
        let Self {
            id,
            important,
            pad,
            key,
            priority,
        } = self;
        format!("{id} {important} {pad} {key} {priority}").into()
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let note = Self::read(&bytes)?;
        match note.id % 100 {
            21 => Err("it cannot be decoded".into()),
            71 => broken("the decoder of records"),
            _ => Ok(note),
        }
    }
}

/// A panic that prints nothing.
pub(crate) fn broken(what: &str) -> ! {
    resume_unwind(Box::new(format!("{what} has a fault")))
}

/// Lines like "17 1 42 true 0 0 xxxx": the number, the attempt, and the message.
pub(crate) struct Lines(pub(crate) Checks);

impl Encoder<Envelope<Note>> for Lines {
    type Error = io::Error;

    fn encode(&mut self, envelope: Envelope<Note>, bytes: &mut BytesMut) -> io::Result<()> {
        let Envelope {
            number,
            attempt,
            message: note,
            ..
        } = envelope;
        self.0.encodes(note);
        if note.breaks_the_encoder() {
            broken("the encoder");
        }
        if note.is_unencodable() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Note {
            id,
            important,
            pad,
            key,
            priority,
        } = note;
        let line = format!(
            "{number} {attempt} {id} {important} {key} {priority} {:x<pad$}\n",
            ""
        );
        bytes.extend_from_slice(line.as_bytes());
        Ok(())
    }
}

/// What `connect` may write before the first message.
pub(crate) const GREETING: &[u8] = b"robot 7\n";

/// The number and the message of a line.
pub(crate) fn parse(line: &str) -> Option<(u64, Note)> {
    let mut words = line.split(' ');
    let number = words.next()?.parse().ok()?;
    let _attempt = words.next()?;
    let note = Note {
        id: words.next()?.parse().ok()?,
        important: words.next()?.parse().ok()?,
        key: words.next()?.parse().ok()?,
        priority: words.next()?.parse().ok()?,
        pad: words.next()?.len(),
    };
    Some((number, note))
}

/// What a reply of the peer means.
pub(crate) fn meaning(reply: &str) -> Option<Processed> {
    let (word, rest) = reply.split_once(' ')?;
    let (number, why) = rest.split_once(' ').unwrap_or((rest, ""));
    let number = number.parse().ok()?;
    match word {
        "ok" => Some(Processed::One(number)),
        "upto" => Some(Processed::UpTo(number)),
        "oldest" => Some(Processed::Oldest(number)),
        "no" => Some(Processed::Rejected(number, why.into())),
        "boom" => broken("the meaning of replies"),
        _ => None,
    }
}
