//! The parts of a response on HTTP/2 that h2 has and has not written yet.
//!
//! h2 takes a whole part as soon as the client's window has room for one byte, and keeps what does not fit. It does not tell when it
//! has written the rest, but it drops the part then. With the end of its body a request would be over, and nothing would count
//! what h2 keeps for a client that does not open its window, or end it. So the end is held back until h2 has dropped all parts.

use crate::http::Progress;
use crate::state::sync::{Mutex, lock};
use bytes::Bytes;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A part up to this length is not waited for: it costs about as much as the stream itself, and a wait costs a wake-up.
const SMALL: usize = 1 << 10;

/// The parts of one response, and what the client has taken of it.
pub(super) struct Handed {
    progress: Arc<Progress>,
    unsent: Mutex<Unsent>,
}

#[derive(Default)]
struct Unsent {
    parts: usize,
    waker: Option<Waker>,
}

impl Handed {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self {
            progress,
            unsent: Mutex::default(),
        }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The same bytes for h2. When it has written them, the client has taken as much as they are worth. `is_rest` tells that other
    /// parts were cut off before.
    pub(super) fn part(self: &Arc<Self>, bytes: Bytes, is_rest: bool, worth: u64) -> Bytes {
        if bytes.len() <= SMALL {
            self.progress.take(worth);
            return match is_rest {
                // It would keep the memory of all parts.
                true => Bytes::copy_from_slice(&bytes),
                false => bytes,
            };
        }
        lock(&self.unsent).parts += 1;
        Bytes::from_owner(Part {
            bytes,
            worth,
            handed: self.clone(),
        })
    }

    /// Whether h2 has written all parts, except small ones.
    pub(super) fn is_sent(&self) -> bool {
        lock(&self.unsent).parts == 0
    }

    /// Waits until h2 has written all parts, except small ones.
    pub(super) fn poll_sent(&self, cx: &Context<'_>) -> Poll<()> {
        let mut unsent = lock(&self.unsent);
        if unsent.parts == 0 {
            return Poll::Ready(());
        }
        let before = unsent.waker.replace(cx.waker().clone());
        drop(unsent);
        drop(before);
        Poll::Pending
    }
}

/// A part that h2 has.
struct Part {
    bytes: Bytes,
    worth: u64,
    handed: Arc<Handed>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.handed.progress.take(self.worth);
        let mut unsent = lock(&self.handed.unsent);
        unsent.parts -= 1;
        let waker = match unsent.parts {
            0 => mem::take(&mut unsent.waker),
            _ => None,
        };
        drop(unsent);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
