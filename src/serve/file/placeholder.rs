//! Bytes that stand for a part of a file.

use bytes::Bytes;

/// The size of the region. It is the longest placeholder, and so the most that one call sends.
pub(super) const REGION: usize = 1 << 20;

/// It is never written, so the system backs it with one shared page of zeros, or with none.
static PLACE: [u8; REGION] = [0; REGION];

/// A slice of the region, by its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placeholder {
    offset: usize,
}

impl Placeholder {
    /// Bytes that stand for up to `left` bytes at the offset `at` of a body.
    pub(super) fn bytes(at: u64, left: u64) -> Bytes {
        let offset = offset(at);
        let length = left.min((REGION - offset) as u64);
        let end = offset + usize::try_from(length).unwrap_or(REGION - offset);
        Bytes::from_static(&PLACE[offset..end])
    }

    /// The placeholder that `slice` stands for, if it lies in the region.
    pub(super) fn of(slice: &[u8]) -> Option<Self> {
        let start = PLACE.as_ptr().addr();
        let offset = slice.as_ptr().addr().checked_sub(start)?;
        // An empty slice may have any address.
        let inside = !slice.is_empty() && offset < REGION;
        inside.then_some(Self { offset })
    }

    /// Whether it stands for what is at the offset `at` of a body.
    pub(super) fn stands_at(self, at: u64) -> bool {
        self.offset == offset(at)
    }
}

fn offset(at: u64) -> usize {
    usize::try_from(at % REGION as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_know_their_place() {
        let region = REGION as u64;
        let bytes = Placeholder::bytes(3 * region + 5, 7);
        assert_eq!(bytes.len(), 7);
        let placeholder = Placeholder::of(&bytes).unwrap();
        assert!(placeholder.stands_at(5) && placeholder.stands_at(region + 5));
        assert!(!placeholder.stands_at(6));
        assert!(Placeholder::of(&bytes[2..]).unwrap().stands_at(7));
        assert_eq!(
            Placeholder::bytes(region - 1, 10).len(),
            1,
            "up to the region's end"
        );
        assert_eq!(Placeholder::bytes(0, u64::MAX).len(), REGION);
        assert_eq!(Placeholder::of(&[0; 7]), None);
        assert_eq!(Placeholder::of(&[]), None);
        assert_eq!(Placeholder::of(&bytes[7..]), None);
    }
}
