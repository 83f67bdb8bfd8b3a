//! What a salvage found.

use std::path::PathBuf;

/// What [`DiskStore::salvage`](super::DiskStore::salvage) has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Salvage {
    /// Nothing: the file is sound.
    Sound,
    /// Whole messages were put into a new file.
    #[non_exhaustive]
    Salvaged {
        /// How many messages that are to be delivered.
        messages: usize,
        /// How many dead letters.
        dead_letters: usize,
        /// Where the damaged file is now.
        damaged: PathBuf,
    },
}
