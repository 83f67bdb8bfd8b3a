//! Messages whose contents follow from their ids.

use bytes::{BufMut, Bytes, BytesMut};
use fastrand::Rng;
use hangup::outbox::Importance;
use std::sync::LazyLock;
use std::time::Duration;

const SHORTEST: usize = 10;
const LONGEST: usize = 10_000;
pub(crate) const MEAN: u64 = (SHORTEST + LONGEST) as u64 / 2;
const ID: usize = size_of::<u64>();

/// What all fillings are cut out of.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = Rng::with_seed(7);
    (0..2 * LONGEST).map(|_| random.u8(..)).collect()
});

/// 10 to 10 000 bytes: the id, and a filling that follows from it.
pub(crate) fn message(id: u64) -> Bytes {
    let filling = filling(id);
    let mut message = BytesMut::with_capacity(ID + filling.len());
    message.put_u64(id);
    message.put_slice(filling);
    message.freeze()
}

fn filling(id: u64) -> &'static [u8] {
    let mut random = Rng::with_seed(id);
    let length = random.usize(SHORTEST..=LONGEST) - ID;
    let start = random.usize(..LONGEST);
    &NOISE[start..start + length]
}

/// The id that a message begins with.
pub(crate) fn id(message: &[u8]) -> u64 {
    let id = message.first_chunk().expect("a message of no id");
    u64::from_be_bytes(*id)
}

/// The id of a message that arrived, which must be whole and as it was sent.
pub(crate) fn verified(message: &[u8]) -> u64 {
    let id = id(message);
    assert!(message[ID..] == *filling(id), "message {id} is damaged");
    id
}

/// Which messages must arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    AllImportant,
    /// Every other one is best effort, and may be sent for so long.
    Halves(Duration),
}

impl Mix {
    pub(crate) fn importance(self, id: u64) -> Importance {
        match self {
            Self::Halves(ttl) if id % 2 == 1 => Importance::BestEffort { ttl },
            _ => Importance::Important,
        }
    }

    pub(crate) fn is_important(self, id: u64) -> bool {
        self.importance(id) == Importance::Important
    }

    /// The important message after this one.
    pub(crate) fn next_important(self, id: u64) -> u64 {
        match self {
            Self::AllImportant => id + 1,
            Self::Halves(_) => (id + 2) & !1,
        }
    }
}
