//! The result of a salvage.

use std::path::PathBuf;

/// What [`DiskStore::salvage`](super::DiskStore::salvage) did.
///
/// ```
/// use hangup::outbox::Salvage;
///
/// /// A line for the operator's log; `None` if there is nothing to report.
/// fn describe(salvage: &Salvage) -> Option<String> {
///     match salvage {
///         Salvage::Salvaged { messages, dead_letters, damaged, .. } => Some(format!(
///             "saved {messages} messages and {dead_letters} dead letters; damaged file: {}",
///             damaged.display(),
///         )),
///         _ => None,
///     }
/// }
///
/// assert_eq!(describe(&Salvage::Sound), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Salvage {
    /// The file was intact. Nothing was done.
    Sound,
    /// Intact messages were copied into a new file.
    #[non_exhaustive]
    Salvaged {
        /// The number of saved messages that are to be delivered.
        messages: usize,
        /// The number of saved dead letters.
        dead_letters: usize,
        /// The new path of the damaged file.
        damaged: PathBuf,
    },
}
