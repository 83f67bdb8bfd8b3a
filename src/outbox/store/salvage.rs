//! What a salvage found.

use std::path::PathBuf;

/// What [`DiskStore::salvage`](super::DiskStore::salvage) has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Salvage {
    /// Nothing was done: the file is sound.
    Sound,
    /// Whole messages were put into a new file.
    #[non_exhaustive]
    Salvaged {
        /// The number of saved messages that wait for delivery.
        messages: usize,
        /// The number of saved dead letters.
        dead_letters: usize,
        /// The path that the damaged file has now.
        damaged: PathBuf,
    },
}
