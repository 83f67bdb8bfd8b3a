//! The data of a body, handed to HTTP in parts.

use bytes::Bytes;
use http_body::SizeHint;
use std::mem;

/// The largest part. A small part shows the progress of a slow client, and the parts that were not handed out can be
/// freed.
const PART: usize = 16 << 10;

/// Cuts data into parts.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The length of the part that HTTP has.
    handed: usize,
    rest: Bytes,
}

impl Parts {
    /// HTTP asks for more. Returns the length of the last part.
    pub(crate) fn asked(&mut self) -> usize {
        mem::take(&mut self.handed)
    }

    /// Whether all data was handed out.
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

    /// Adds the data that is left here to `hint`, the size hint of the rest of the body.
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
