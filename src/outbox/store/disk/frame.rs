//! The format of a message in the file. A frame can be recognized without the database around it, so that the messages of
//! a damaged file can be salvaged.
//!
//! ```text
//! prefix 8 │ file 8 │ number 8 │ sequence 8 │ floor 8 │ salt 8 │ kind 4 │ length 4 │ checksum 4 │ message
//! ```
//!
//! Integers are little-endian. The checksum is the CRC-32 of all but the prefix and itself.
//!
//! # Invariants
//!
//! 1. The prefix occurs at the start of a frame and nowhere else in it, and the prefix of the previous format and that of an
//!    entry of the log nowhere: a message that contains one of them is stored under a mask. So a message cannot look like a
//!    frame or an entry, whatever bytes its sender chose.
//! 2. A frame belongs to the file whose random number it carries.
//! 3. Of two frames with one number, the one with the higher sequence was written later.

use super::error::StoreProblem;
use crc32fast::Hasher;
use std::hash::{BuildHasher, RandomState};

/// The first bytes of a frame. 0x92 cannot begin a character of UTF-8, so most messages need no mask.
pub(super) const PREFIX: [u8; 8] = *b"\x92hangup\x1b";
/// The first bytes of a frame of the previous format.
pub(super) const PREVIOUS_PREFIX: [u8; 8] = *b"\x91hangup\x1b";
/// The first bytes of an entry of the log.
pub(super) const ENTRY_PREFIX: [u8; 8] = *b"\x93hangup\x1b";
/// What a stored message must not contain: the first bytes of anything that is looked for in the file.
const PREFIXES: [[u8; 8]; 3] = [PREFIX, PREVIOUS_PREFIX, ENTRY_PREFIX];
/// The length of the head: everything before the message.
pub(super) const HEAD: usize = 60;

/// The format of the frames that a scan looks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) prefix: [u8; 8],
    /// The length of the head.
    pub(super) head: usize,
    /// Reads a head. Returns it with the checksum so far, which has to be continued with the message.
    pub(super) read: fn(&[u8]) -> Option<(Found, Hasher)>,
}

impl Format {
    /// The first position of the prefix.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..)?;
            at += rest.iter().position(|&byte| byte == self.prefix[0])?;
            if bytes[at..].starts_with(&self.prefix) {
                return Some(at);
            }
            at += 1;
        }
    }
}

/// The present format, for the scan of a damaged file.
pub(super) const FORMAT: Format = Format {
    prefix: PREFIX,
    head: HEAD,
    read: |head| {
        let head = head.first_chunk()?;
        Some((Found::read(head)?, Found::hasher(head)))
    },
};

/// Numbers, sequences and floors are below this. Their last byte is therefore small, and no field of the head can
/// contain the prefix (invariant 1).
pub(super) const LIMIT: u64 = 1 << 60;

/// What a frame contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message that is to be delivered.
    Message,
    /// A message that cannot be delivered: the length of the reason (4 bytes), the reason, the message.
    DeadLetter,
}

/// The fields of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// The random number of the file.
    pub(super) file: u64,
    pub(super) number: u64,
    /// The sequence of the commit. Grows from commit to commit.
    pub(super) sequence: u64,
    /// When this frame was written, no message below this number was held any more. A salvage uses it to leave out
    /// messages that were removed.
    pub(super) floor: u64,
    pub(super) kind: Kind,
}

/// A head that was read, with what is needed to check and unmask the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) head: Head,
    pub(super) length: u32,
    salt: u64,
    checksum: u32,
}

impl Head {
    /// Writes the frame into `frame`, whose length is that of the message plus [`HEAD`]. Tries masks until the frame
    /// contains no further prefix; a second attempt is rare.
    pub(super) fn write(&self, message: &[u8], frame: &mut [u8]) {
        let mut salt = 0;
        loop {
            self.write_salted(message, salt, frame);
            if !contains_a_prefix(&frame[1..]) {
                return;
            }
            salt = random();
        }
    }

    fn write_salted(&self, message: &[u8], salt: u64, frame: &mut [u8]) {
        let (head, body) = frame.split_at_mut(HEAD);
        body.copy_from_slice(message);
        mask(salt, body);
        head[..8].copy_from_slice(&PREFIX);
        let fields = [self.file, self.number, self.sequence, self.floor, salt];
        for (place, field) in head[8..48].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        head[48..52].copy_from_slice(&(self.kind as u32).to_le_bytes());
        head[52..56].copy_from_slice(&(message.len() as u32).to_le_bytes());
        let mut hasher = Hasher::new();
        hasher.update(&head[8..56]);
        hasher.update(body);
        head[56..].copy_from_slice(&hasher.finalize().to_le_bytes());
    }
}

impl Found {
    /// A frame whose message is stored unmasked and has this checksum: the previous format.
    pub(super) fn unmasked(head: Head, length: u32, checksum: u32) -> Self {
        Self {
            head,
            length,
            salt: 0,
            checksum,
        }
    }

    /// Reads a head. The message is not checked yet.
    pub(super) fn read(head: &[u8; HEAD]) -> Option<Self> {
        if head[..8] != PREFIX {
            return None;
        }
        let field = |at: usize| Some(u64::from_le_bytes(head[at..at + 8].try_into().ok()?));
        let half = |at: usize| Some(u32::from_le_bytes(head[at..at + 4].try_into().ok()?));
        let kind = match half(48)? {
            0 => Kind::Message,
            1 => Kind::DeadLetter,
            _ => return None,
        };
        let head = Head {
            file: field(8)?,
            number: field(16)?,
            sequence: field(24)?,
            floor: field(32)?,
            kind,
        };
        let bounded = head.number < LIMIT && head.sequence < LIMIT && head.floor <= head.number;
        Some(Self {
            head,
            salt: field(40)?,
            length: half(52)?,
            checksum: half(56)?,
        })
        .filter(|_| bounded)
    }

    /// The checksum of the head. Continue it with the message as it is stored.
    pub(super) fn hasher(head: &[u8; HEAD]) -> Hasher {
        let mut hasher = Hasher::new();
        hasher.update(&head[8..56]);
        hasher
    }

    /// Whether this checksum, of the head and the message, is the stored one.
    pub(super) fn is_whole(&self, hasher: Hasher) -> bool {
        hasher.finalize() == self.checksum
    }

    /// Turns the stored message back into the original.
    pub(super) fn unmask(&self, message: &mut [u8]) {
        mask(self.salt, message);
    }
}

/// Reads and checks a frame that must belong to `file` and have this number.
pub(super) fn read(file: u64, number: u64, frame: &[u8]) -> Result<(Head, Vec<u8>), StoreProblem> {
    let whole = || {
        let (head, message) = frame.split_first_chunk::<HEAD>()?;
        let found = Found::read(head)?;
        let mut hasher = Found::hasher(head);
        hasher.update(message);
        let matches = found.head.file == file
            && found.head.number == number
            && found.length as usize == message.len()
            && found.is_whole(hasher);
        let mut message = message.to_vec();
        found.unmask(&mut message);
        matches.then_some((found.head, message))
    };
    whole().ok_or_else(|| StoreProblem::damaged(format!("message {number}")))
}

/// A number that a sender of messages cannot predict: the keys of `RandomState` come from the system.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// Whether a frame of either format, or an entry of the log, may begin somewhere in these bytes.
fn contains_a_prefix(bytes: &[u8]) -> bool {
    let begins = |byte: &u8| PREFIXES.iter().any(|prefix| prefix[0] == *byte);
    // Without an early exit, the compiler looks at many bytes at once. Most messages have none of these bytes.
    if !bytes.iter().fold(false, |any, byte| any | begins(byte)) {
        return false;
    }
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(begins) {
        rest = &rest[at..];
        if PREFIXES.iter().any(|prefix| rest.starts_with(prefix)) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// Masks or unmasks bytes (XOR with a key stream). Salt 0 means no mask.
fn mask(salt: u64, bytes: &mut [u8]) {
    if salt == 0 {
        return;
    }
    // SplitMix64 makes the key stream from the salt.
    let mut state = salt;
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        for (byte, masking) in chunk.iter_mut().zip(word.to_le_bytes()) {
            *byte ^= masking;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: u64) -> Head {
        Head {
            file: 0x1234,
            number,
            sequence: 9,
            floor: number.min(3),
            kind: Kind::Message,
        }
    }

    fn frame(head: Head, message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; HEAD + message.len()];
        head.write(message, &mut frame);
        frame
    }

    #[test]
    fn a_frame_is_whole_or_refused() {
        let bytes = frame(head(7), b"a message");
        assert_eq!(
            read(0x1234, 7, &bytes).unwrap(),
            (head(7), b"a message".to_vec())
        );
        assert!(read(0x1234, 8, &bytes).is_err());
        assert!(read(0x1235, 7, &bytes).is_err());
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[place] ^= 1 << bit;
                assert!(
                    read(0x1234, 7, &flipped).is_err(),
                    "byte {place}, bit {bit}"
                );
            }
            assert!(read(0x1234, 7, &bytes[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_message_cannot_hold_the_prefix_in_the_file() {
        let inner = frame(head(5), b"planted");
        for message in [
            PREFIX.to_vec(),
            PREVIOUS_PREFIX.to_vec(),
            ENTRY_PREFIX.to_vec(),
            inner.clone(),
            [b"..", &inner[..], b".."].concat(),
        ] {
            let bytes = frame(head(7), &message);
            assert!(!contains_a_prefix(&bytes[1..]));
            assert_eq!(read(0x1234, 7, &bytes).unwrap().1, message);
        }
    }
}
