//! The messages of a scenario. Each can be told from all others, so that one that was handed back is not taken for one that
//! was accepted later under its number.

use bytes::Bytes;

/// The number of a message, and in the upper half how often it was given before.
pub(super) fn number_of(key: u64) -> u64 {
    key & 0xffff_ffff
}

/// How large the messages of a scenario are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sizes {
    Mixed,
    /// Each entry of the log ends where one of an earlier lap did.
    Same(usize),
    /// About as large as what goes into the log.
    Large,
}

impl Sizes {
    pub(super) fn of(seed: u64) -> Self {
        match seed % 4 {
            0 => Self::Same(100),
            1 => Self::Mixed,
            2 => Self::Same(412),
            _ => Self::Large,
        }
    }

    /// How many messages the next batch has.
    pub(super) fn batch(self, random: &mut fastrand::Rng) -> u64 {
        match self {
            Self::Mixed => random.u64(1..12),
            Self::Same(_) => 1,
            Self::Large => random.u64(1..3),
        }
    }

    pub(super) fn message(self, key: u64) -> Bytes {
        let mut random = fastrand::Rng::with_seed(key);
        let size = match self {
            Self::Mixed => match random.u32(0..20) {
                0 => random.usize(20_000..120_000),
                1..=4 => random.usize(3000..9000),
                _ => random.usize(8..600),
            },
            Self::Same(size) => size,
            Self::Large => match random.u32(0..3) {
                0 => random.usize(8..60),
                // An entry with one message of 32 668 bytes is as large as an entry may be.
                1 => random.usize(32_660..32_676),
                _ => random.usize(16_000..16_400),
            },
        };
        let pattern: Vec<u8> = (0..251).map(|at| (key * 31 + at * 7) as u8).collect();
        let mut message = pattern.repeat(size / pattern.len() + 1);
        message.truncate(size);
        message[..8].copy_from_slice(&key.to_le_bytes());
        message.into()
    }

    /// The key of a message that was found.
    pub(super) fn key(self, number: u64, message: &[u8]) -> Result<u64, String> {
        let key = message
            .first_chunk()
            .map_or(u64::MAX, |key| u64::from_le_bytes(*key));
        match number_of(key) == number && self.message(key) == message {
            true => Ok(key),
            false => Err(format!("changed: {number}")),
        }
    }
}
