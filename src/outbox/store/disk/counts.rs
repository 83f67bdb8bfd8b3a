//! What is known about the tables without reading them.

/// The key of the counts: above all numbers.
pub(super) const COUNTS: u64 = u64::MAX;

/// What is known about the tables without reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Above all numbers that were ever given.
    pub(super) next: u64,
    /// The sequence of the last commit.
    pub(super) sequence: u64,
    pub(super) messages: u64,
    pub(super) dead_letters: u64,
    /// The size of messages and dead letters, with their heads.
    pub(super) bytes: u64,
}

impl Counts {
    const SIZE: usize = 5 * 8;

    pub(super) fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let counts = [
            self.next,
            self.sequence,
            self.messages,
            self.dead_letters,
            self.bytes,
        ];
        for (place, count) in bytes.chunks_exact_mut(8).zip(counts) {
            place.copy_from_slice(&count.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::SIZE] = bytes.try_into().ok()?;
        let count = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        Some(Self {
            next: count(0)?,
            sequence: count(8)?,
            messages: count(16)?,
            dead_letters: count(24)?,
            bytes: count(32)?,
        })
    }
}
