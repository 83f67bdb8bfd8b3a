//! The key and the priority of a message, as the user's functions tell them.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

type KeyOf<T> = Box<dyn Fn(&T) -> u64 + Send + Sync>;
type PriorityOf<T> = Box<dyn Fn(&T) -> u8 + Send + Sync>;

pub(crate) struct Ranking<T> {
    pub(crate) key: Option<KeyOf<T>>,
    pub(crate) priority: Option<PriorityOf<T>>,
}

impl<T> Ranking<T> {
    pub(crate) fn new() -> Self {
        Self {
            key: None,
            priority: None,
        }
    }

    /// Two keys with one hash count as one key: then more messages than necessary keep their order.
    pub(crate) fn set_key<K: Hash>(&mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) {
        self.key = Some(Box::new(move |message| {
            let mut hasher = DefaultHasher::new();
            key(message).hash(&mut hasher);
            hasher.finish()
        }));
    }

    /// Whether a message can overtake another one. Without keys none can, and without priorities none does.
    pub(crate) fn reorders(&self) -> bool {
        self.key.is_some() && self.priority.is_some()
    }

    /// The key and the priority of a message.
    pub(crate) fn rank(&self, message: &T) -> (u64, u8) {
        match (&self.key, &self.priority) {
            (Some(key), Some(priority)) => (key(message), priority(message)),
            _ => (0, 0),
        }
    }
}

impl<T> fmt::Debug for Ranking<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranking")
            .field("reorders", &self.reorders())
            .finish_non_exhaustive()
    }
}
