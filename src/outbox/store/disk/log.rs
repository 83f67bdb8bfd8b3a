//! The log: messages that were appended since the last change of the tables.
//!
//! A change of the tables writes every page on the way to a message, and so 25 KB for one of 100 bytes. An entry of the log is
//! one write of the frames alone. The next change of the tables moves them there, unless it removes them.
//!
//! ```text
//! prefix 8 │ file 8 │ base 8 │ sequence 8 │ length 4 │ checksum 4 │ frames
//! ```
//!
//! Integers are little-endian. The length is that of the frames. The checksum is the CRC-32 of all but the prefix and itself.
//!
//! # Which entries count
//!
//! Entries lie one behind the other, from the first byte of the log. An entry counts if
//!
//! 1. it is intact,
//! 2. its base is the sequence of the last change of the tables,
//! 3. its sequence is higher than that of the entry before it,
//! 4. all entries before it count.
//!
//! Every change of the tables has a new sequence. So it empties the log without a write to it, and nothing that an earlier
//! entry left behind a new one can count: not an entry, whose sequence is lower, and not the bytes of a message, which do not
//! contain the prefix of an entry ([`frame`], invariant 1).
//!
//! This needs sequences that are never used twice. So the number of a session is on the disk before the session has its first
//! entry, whatever the policy is.

use super::counts::Counts;
use super::error::{Outcome, StoreProblem};
use super::frame::{self, ENTRY_PREFIX, Found, HEAD, Head, Kind};
use super::region::Layout;
use super::store_file::StoreFile;
use bytes::Bytes;
use crc32fast::Hasher;
use std::io;
use std::ops::{ControlFlow, Range};

/// The size of the log in a file that has one. A larger one saves changes of the tables, and each file is larger by it.
pub(super) const LOG: usize = 128 * 1024;

/// A batch that takes more than this part of the log goes to the tables.
const LARGEST: usize = LOG / 4;

/// The length of an entry before its frames.
const ENTRY: usize = 40;

/// The entries that count, as they are in the file.
#[derive(Debug)]
pub(super) struct Log {
    layout: Layout,
    /// The random number of the file.
    file: u64,
    bytes: Vec<u8>,
    /// The number and the place of each frame in `bytes`, in the order of the numbers.
    frames: Vec<(u64, Range<usize>)>,
}

/// What an entry carries beside its messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) base: u64,
    pub(super) sequence: u64,
    /// No message below this number is held.
    pub(super) floor: u64,
}

impl Log {
    /// A log without entries.
    pub(super) fn empty(layout: Layout, file: u64) -> Self {
        Self {
            layout,
            file,
            bytes: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Reads the entries that count, and adds them to `counts`, which are those of the tables.
    pub(super) fn read(
        file: &StoreFile,
        layout: Layout,
        random: u64,
        counts: &mut Counts,
    ) -> Outcome<Self> {
        let mut log = Self::empty(layout, random);
        let mut bytes = vec![0; layout.log];
        file.read_at(layout.log_start(), &mut bytes)?;
        let base = counts.sequence;
        while let Some((sequence, frames)) = entry(&bytes[log.bytes.len()..], random) {
            if sequence.0 > base {
                return Err(StoreProblem::damaged("its last commit"));
            }
            if sequence.0 < base || sequence.1 <= counts.sequence {
                break;
            }
            let start = log.bytes.len();
            let end = start + ENTRY + frames;
            log.bytes.extend_from_slice(&bytes[start..end]);
            log.index(start + ENTRY, counts)?;
            counts.sequence = sequence.1;
        }
        Ok(log)
    }

    /// Finds the frames from `start` to the end of `bytes`, and counts them.
    fn index(&mut self, start: usize, counts: &mut Counts) -> Outcome<()> {
        let damaged = || StoreProblem::damaged("a message of its log");
        let mut at = start;
        while at < self.bytes.len() {
            let head = self.bytes[at..].first_chunk().ok_or_else(damaged)?;
            let found = Found::read(head).ok_or_else(damaged)?;
            let end = at + HEAD + found.length as usize;
            // A lower number is taken already.
            if end > self.bytes.len() || found.head.number < counts.next {
                return Err(damaged());
            }
            self.add_frame(found.head.number, at..end, counts);
            at = end;
        }
        Ok(())
    }

    fn add_frame(&mut self, number: u64, place: Range<usize>, counts: &mut Counts) {
        counts.messages += 1;
        counts.bytes += place.len() as u64;
        counts.next = counts.next.max(number + 1);
        self.frames.push((number, place));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether the log has room for these messages. Their numbers must be above all others.
    pub(super) fn has_room(&self, batch: &[(u64, Bytes)]) -> bool {
        let frames = batch.iter().map(|(_, message)| HEAD + message.len());
        let length = ENTRY.saturating_add(frames.sum());
        length <= LARGEST && self.bytes.len() + length <= self.layout.log
    }

    /// Writes an entry, and waits for the disk. Adds the messages to `counts`.
    ///
    /// # Errors
    ///
    /// After an error it is unknown whether the entry is in the file. The log has to be read again.
    pub(super) fn append(
        &mut self,
        file: &StoreFile,
        batch: &[(u64, Bytes)],
        stamp: Stamp,
        counts: &mut Counts,
    ) -> io::Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&ENTRY_PREFIX);
        for field in [self.file, stamp.base, stamp.sequence] {
            self.bytes.extend_from_slice(&field.to_le_bytes());
        }
        // The length and the checksum follow.
        self.bytes.resize(start + ENTRY, 0);
        for (number, message) in batch {
            let at = self.bytes.len();
            self.bytes.resize(at + HEAD + message.len(), 0);
            let head = Head {
                file: self.file,
                number: *number,
                sequence: stamp.sequence,
                floor: stamp.floor,
                kind: Kind::Message,
            };
            head.write(message, &mut self.bytes[at..]);
            self.add_frame(*number, at..self.bytes.len(), counts);
        }
        counts.sequence = stamp.sequence;
        let entry = &mut self.bytes[start..];
        let length = (entry.len() - ENTRY) as u32;
        entry[32..36].copy_from_slice(&length.to_le_bytes());
        let sum = checksum(entry);
        entry[36..ENTRY].copy_from_slice(&sum.to_le_bytes());
        file.write_at(self.layout.log_start() + start as u64, entry)?;
        file.sync()
    }

    /// The number and the frame of each message, in the order of the numbers.
    pub(super) fn frames(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let frames = self.frames.iter();
        frames.map(|(number, place)| (*number, &self.bytes[place.clone()]))
    }

    /// Calls `each` for the messages from this number on, in order, until it returns `Break`.
    pub(super) fn messages_from(
        &self,
        from: u64,
        mut each: impl FnMut(u64, Bytes) -> ControlFlow<()>,
    ) -> Outcome<()> {
        for (number, frame) in self.frames().filter(|&(number, _)| number >= from) {
            let (_, message) = frame::read(self.file, number, frame)?;
            if each(number, message.into()).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The lowest number.
    pub(super) fn first(&self) -> Option<u64> {
        self.frames.first().map(|(number, _)| *number)
    }

    /// The tables have changed: no entry counts any more.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }
}

/// Reads an intact entry at the start of `bytes`. Returns its base and its sequence, and the length of its frames.
fn entry(bytes: &[u8], file: u64) -> Option<((u64, u64), usize)> {
    let field = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if !bytes.starts_with(&ENTRY_PREFIX) || field(8)? != file {
        return None;
    }
    let length = half(32)? as usize;
    let entry = bytes.get(..ENTRY.checked_add(length)?)?;
    (checksum(entry) == half(36)?).then_some(((field(16)?, field(24)?), length))
}

/// The checksum of an entry.
fn checksum(entry: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&entry[ENTRY_PREFIX.len()..ENTRY - 4]);
    hasher.update(&entry[ENTRY..]);
    hasher.finalize()
}
