//! A list whose places are reused under a new generation.

/// Names one value of one [`Slab`], for as long as that value is in it.
///
/// A key that outlives its value names nothing: the place may be taken again, under another
/// generation. (A generation comes back after 2³² uses of one place.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The key as one number, for an operating system to hand back.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The key that [`to_bits`](Self::to_bits) made the number of.
    #[allow(clippy::cast_possible_truncation)] // the two halves, taken apart
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

/// Values under keys that are never mistaken for one another.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    /// Places without a value.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    /// Of the value that is in the place, or of the next one.
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Puts `value` in, and names it.
    pub(crate) fn insert(&mut self, value: T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                value: None,
            });
            // A descriptor and a waker are larger than a byte: memory ends long before 2³² places.
            u32::try_from(self.places.len() - 1).expect("fewer than 2^32 places")
        });
        let place = &mut self.places[index as usize];
        place.value = Some(value);
        Key {
            index,
            generation: place.generation,
        }
    }

    /// The value under `key`, if it is still there.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let place = self.places.get(key.index as usize)?;
        place
            .value
            .as_ref()
            .filter(|_| place.generation == key.generation)
    }

    /// The value under `key`, if it is still there.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.index as usize)?;
        place
            .value
            .as_mut()
            .filter(|_| place.generation == key.generation)
    }

    /// Takes the value under `key` out, if it is still there.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// All the values, without their keys.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.places.into_iter().filter_map(|place| place.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_place_is_not_mistaken() {
        let mut slots = Slab::new();
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_eq!(first.index, second.index);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(Key::from_bits(second.to_bits())), Some(&"second"));
        assert_eq!(slots.into_values().collect::<Vec<_>>(), ["second"]);
    }
}
