//! A list whose keys are never reused, and whose memory shrinks when values are removed.

use std::num::NonZeroU64;

/// The key of a value in a [`KeyedList`].
///
/// Keys are counted up and never reused, so a stale key finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(NonZeroU64);

impl Key {
    /// The key as a number, for an operating system to hand back.
    pub(crate) fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// The key that [`to_bits`](Self::to_bits) made the number of.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }
}

/// Values in the order of their keys.
///
/// A removed value leaves a gap. When a quarter of the entries are gaps, the list is compacted and returns the memory
/// that it no longer needs. Every operation takes amortized logarithmic time, and the memory follows the number of
/// values up and down.
#[derive(Debug)]
pub(crate) struct KeyedList<T> {
    /// In ascending order; `None` is a gap.
    places: Vec<(Key, Option<T>)>,
    gaps: usize,
    /// The key of the next value. A list that is filled every nanosecond has enough for 500 years.
    next: Key,
}

impl<T> KeyedList<T> {
    pub(crate) const fn new() -> Self {
        Self {
            places: Vec::new(),
            gaps: 0,
            next: Key(NonZeroU64::MIN),
        }
    }

    /// Inserts a value, and returns its key.
    pub(crate) fn insert(&mut self, value: T) -> Key {
        let key = self.next;
        self.next = Key(key.0.saturating_add(1));
        if self.places.len() == self.places.capacity() {
            // `Vec` would double, and leave up to half of the entries unused.
            self.places.reserve_exact(self.places.len() / 4 + 1);
        }
        self.places.push((key, Some(value)));
        key
    }

    /// The value under `key`, if it is still there.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.places[self.find(key)?].1.as_ref()
    }

    /// The value under `key`, if it is still there.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let index = self.find(key)?;
        self.places[index].1.as_mut()
    }

    /// Removes the value under `key`, and returns it if it is still there.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let index = self.find(key)?;
        let value = self.places[index].1.take()?;
        self.gaps += 1;
        if self.gaps > self.places.len() / 4 {
            self.places.retain(|(_, value)| value.is_some());
            self.gaps = 0;
            // Keep one entry: otherwise a single value that is added and removed would allocate each time.
            if self.places.len() < self.places.capacity() / 4 {
                self.places.shrink_to((self.places.len() * 2).max(1));
            }
        }
        Some(value)
    }

    /// All the keys and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places
            .iter()
            .filter_map(|(key, value)| Some((*key, value.as_ref()?)))
    }

    /// All the values, without their keys.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.places.into_iter().filter_map(|(_, value)| value)
    }

    fn find(&self, key: Key) -> Option<usize> {
        self.places.binary_search_by_key(&key, |place| place.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_used_twice() {
        let mut list = KeyedList::new();
        let first = list.insert("first");
        assert_eq!(list.remove(first), Some("first"));
        let second = list.insert("second");
        assert_ne!(first, second);
        assert_eq!(list.get(first), None);
        assert_eq!(list.get_mut(first), None);
        assert_eq!(list.remove(first), None);
        let again = Key::from_bits(second.to_bits()).unwrap();
        assert_eq!(list.get(again), Some(&"second"));
        assert_eq!(list.into_values().collect::<Vec<_>>(), ["second"]);
    }

    /// Which values stay does not matter: the last ones, or some in between.
    #[test]
    fn the_memory_shrinks_after_a_peak() {
        // Miri takes minutes for the larger one.
        const PEAK: usize = if cfg!(miri) { 300 } else { 10_000 };
        for stays in [
            |n: usize| n >= PEAK - 10,
            |n: usize| n.is_multiple_of(PEAK / 10),
        ] {
            let mut list = KeyedList::new();
            let keys: Vec<_> = (0..PEAK).map(|n| (n, list.insert(n))).collect();
            assert!(list.places.capacity() <= PEAK + PEAK / 4);
            let (stay, go): (Vec<_>, Vec<_>) = keys.into_iter().partition(|(n, _)| stays(*n));
            for (n, key) in go {
                assert_eq!(list.remove(key), Some(n));
            }
            assert!(list.places.capacity() <= 64, "{}", list.places.capacity());
            for (n, key) in stay {
                assert_eq!(list.get(key), Some(&n));
            }
        }
    }

    #[test]
    fn values_that_come_and_go_take_no_memory() {
        let mut list = KeyedList::new();
        let stays = list.insert(0);
        for n in 1..1000 {
            let key = list.insert(n);
            list.remove(key);
        }
        assert!(list.places.len() <= 2, "{}", list.places.len());
        assert_eq!(list.get(stays), Some(&0));
    }

    #[test]
    fn the_first_value_needs_one_place() {
        let mut list = KeyedList::new();
        let key = list.insert(0);
        assert_eq!(list.places.capacity(), 1);
        list.remove(key);
        assert_eq!(list.places.capacity(), 1);
    }
}
