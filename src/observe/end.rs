//! The values that are reported at the end of a stream.

use std::fmt::Display;

/// The end of one stream.
pub(crate) struct End<'a> {
    /// The reason in words.
    pub(crate) reason: &'a dyn Display,
    /// The short name of the reason: one of a small fixed set.
    pub(crate) reason_name: &'static str,
    /// Whether our own side ended the stream.
    pub(crate) is_local: bool,
    /// What detected the end.
    pub(crate) detected_by: &'static str,
}

/// The bytes of one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) read: u64,
    pub(crate) accepted: u64,
    /// `None` where it is unknown.
    pub(crate) acknowledged: Option<u64>,
}
