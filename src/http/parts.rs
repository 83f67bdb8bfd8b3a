//! A body's data, handed to HTTP in parts.

use bytes::Bytes;
use http_body::SizeHint;
use std::mem;

/// The most that HTTP is handed at a time: what a slow client takes of it shows as progress, and what it does
/// not take can be freed.
const PART: usize = 16 << 10;

/// Cuts data into parts.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The length of the part that HTTP has.
    handed: usize,
    rest: Bytes,
}

impl Parts {
    /// HTTP asks for more. How much it had got.
    pub(crate) fn asked(&mut self) -> usize {
        mem::take(&mut self.handed)
    }

    /// Whether the next data is to be put in.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn put(&mut self, data: Bytes) {
        self.rest = data;
    }

    /// The next part.
    pub(crate) fn next(&mut self) -> Bytes {
        let part = self.rest.split_to(self.rest.len().min(PART));
        self.handed = part.len();
        part
    }

    /// The hint of a body of which `hint` is what is not in here.
    pub(crate) fn size_hint(&self, hint: SizeHint) -> SizeHint {
        let rest = self.rest.len() as u64;
        if rest == 0 {
            return hint;
        }
        let mut with_rest = SizeHint::new();
        if let Some(upper) = hint.upper().and_then(|upper| upper.checked_add(rest)) {
            with_rest.set_upper(upper);
        }
        with_rest.set_lower(hint.lower().saturating_add(rest));
        with_rest
    }
}
