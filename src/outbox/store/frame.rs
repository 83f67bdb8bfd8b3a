//! How a message lies on disk: with a mark, its number and a checksum, so that it can be told from
//! anything else without the database around it.
//!
//! ```text
//! mark 8 │ number 8 │ floor 8 │ length 4 │ checksum 4 │ message
//! ```
//!
//! Integers are little-endian. The checksum is the CRC-32 of all but the mark and itself.

use crc32fast::Hasher;

const MARK: [u8; 8] = *b"\x91hangup\x1b";
pub(super) const HEAD: usize = 32;

/// A message in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) number: u64,
    /// Below this number nothing was held any more when the message was written.
    pub(super) floor: u64,
    pub(super) message: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Writes it into `bytes`, which are `HEAD` longer than the message.
    pub(super) fn write(&self, bytes: &mut [u8]) {
        let (head, message) = bytes.split_at_mut(HEAD);
        message.copy_from_slice(self.message);
        head[..8].copy_from_slice(&MARK);
        head[8..16].copy_from_slice(&self.number.to_le_bytes());
        head[16..24].copy_from_slice(&self.floor.to_le_bytes());
        head[24..28].copy_from_slice(&(self.message.len() as u32).to_le_bytes());
        let sum = checksum(&head[8..28], message);
        head[28..].copy_from_slice(&sum.to_le_bytes());
    }

    /// The frame at the beginning of `bytes`, if there is one and it is whole.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        if head[..8] != MARK {
            return None;
        }
        let length = u32::from_le_bytes(head[24..28].try_into().ok()?) as usize;
        let message = rest.get(..length)?;
        let sum = u32::from_le_bytes(head[28..].try_into().ok()?);
        (checksum(&head[8..28], message) == sum).then_some(Self {
            number: u64::from_le_bytes(head[8..16].try_into().ok()?),
            floor: u64::from_le_bytes(head[16..24].try_into().ok()?),
            message,
        })
    }

    /// All whole frames in `bytes`, wherever they begin.
    pub(super) fn scan(bytes: &'a [u8]) -> impl Iterator<Item = Self> {
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                let rest = bytes.get(at..)?;
                at += rest.iter().position(|&byte| byte == MARK[0])?;
                let frame = Self::read(&bytes[at..]);
                // A message may hold frames of its own; they are none of ours.
                at += frame.map_or(1, |frame| HEAD + frame.message.len());
                if frame.is_some() {
                    return frame;
                }
            }
        })
    }
}

fn checksum(head: &[u8], message: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(head);
    hasher.update(message);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_or_none() {
        let frame = Frame {
            number: 7,
            floor: 3,
            message: b"a message",
        };
        let mut bytes = vec![0; HEAD + frame.message.len()];
        frame.write(&mut bytes);
        assert_eq!(Frame::read(&bytes), Some(frame));
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[place] ^= 1 << bit;
                assert_eq!(Frame::read(&flipped), None, "byte {place}, bit {bit}");
            }
            assert_eq!(Frame::read(&bytes[..place]), None, "cut at {place}");
        }
    }

    #[test]
    fn frames_are_found_wherever_they_begin() {
        let mut bytes = MARK.to_vec();
        for number in 0..3 {
            let message = vec![MARK[0]; number as usize * 5];
            let frame = Frame {
                number,
                floor: 0,
                message: &message,
            };
            let start = bytes.len() + number as usize;
            bytes.resize(start + HEAD + message.len(), 0);
            frame.write(&mut bytes[start..]);
        }
        let numbers: Vec<u64> = Frame::scan(&bytes).map(|frame| frame.number).collect();
        assert_eq!(numbers, [0, 1, 2]);
    }
}
