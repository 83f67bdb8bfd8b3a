//! The beginning of what an error prints, read without storing it.
//!
//! An error of a library cannot be downcast without depending on one version of that library. Its
//! `Debug` and `Display` output begins with words that the library seldom changes.

use std::fmt::{self, Debug, Display, Write};

/// Whether what `error` displays begins with `text`.
///
/// The error prints no more than that, and nothing is stored.
pub(super) fn displays(error: &dyn Display, text: &str) -> bool {
    let mut rest = Rest(text);
    // The writer stops the formatting with an error. Only the part that was compared counts.
    let _ = write!(rest, "{error}");
    rest.0.is_empty()
}

/// Whether the `Debug` output of `error` begins with `text`.
pub(super) fn debugs(error: &dyn Debug, text: &str) -> bool {
    let mut rest = Rest(text);
    let _ = write!(rest, "{error:?}");
    rest.0.is_empty()
}

/// The part of a text that was not matched yet.
struct Rest<'a>(&'a str);

impl Write for Rest<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        // Compares bytes: `len` may lie within a character.
        let len = self.0.len().min(part.len());
        if self.0.as_bytes()[..len] != part.as_bytes()[..len] {
            return Err(fmt::Error);
        }
        self.0 = &self.0[len..];
        if self.0.is_empty() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// The first word of a `Debug` output. For a derived one it is the variant's or the type's name.
pub(super) struct Word {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Word {
    /// The longest name that is looked for, and one byte more to distinguish a longer one.
    const CAPACITY: usize = 32;

    pub(super) fn of(error: impl Debug) -> Self {
        let mut word = Self {
            bytes: [0; Self::CAPACITY],
            len: 0,
        };
        // At the end of the word, the writer stops the formatting with an error.
        let _ = write!(word, "{error:?}");
        word
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for Word {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            if !byte.is_ascii_alphanumeric() || self.len == Self::CAPACITY {
                return Err(fmt::Error);
            }
            self.bytes[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}
