//! The parts of a response on HTTP/2 that h2 has and has not written yet.
//!
//! h2 takes a whole part as soon as the client's window has room for one byte, and keeps what does not fit. It does not tell when it
//! has written the rest, but it drops the part then. With the end of its body a request would be over, and nothing would count
//! what h2 keeps for a client that does not open its window, or end it. So the end is held back until h2 has dropped all parts.

use super::connection::ConnectionState;
use crate::http::Progress;
use crate::state::sync::{Mutex, lock};
use bytes::Bytes;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A part up to this length is not waited for: it costs about as much as the stream itself, and a wait costs a wake-up.
const SMALL: usize = 1 << 10;

/// For so many small parts of a connection, which h2 usually writes at once. The others are waited for too: their streams would
/// cost a client nothing, and count nowhere.
const MOST_SMALL: usize = 16;

/// The parts of one response, and what the client has taken of it.
pub(super) struct Handed {
    connection: Arc<ConnectionState>,
    progress: Arc<Progress>,
    unsent: Mutex<Unsent>,
}

#[derive(Default)]
struct Unsent {
    parts: usize,
    waker: Option<Waker>,
}

impl Handed {
    pub(super) fn new(connection: Arc<ConnectionState>, progress: Arc<Progress>) -> Self {
        Self {
            connection,
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
            let unsent = &self.connection.small_parts;
            if unsent.add(MOST_SMALL) {
                self.progress.take(worth);
                return Bytes::from_owner(SmallPart {
                    bytes: match is_rest {
                        // It would keep the memory of all parts.
                        true => Bytes::copy_from_slice(&bytes),
                        false => bytes,
                    },
                    connection: self.connection.clone(),
                });
            }
            unsent.subtract();
        }
        lock(&self.unsent).parts += 1;
        Bytes::from_owner(Part {
            bytes,
            worth,
            handed: self.clone(),
        })
    }

    /// Whether h2 has written all parts that are waited for.
    pub(super) fn is_sent(&self) -> bool {
        lock(&self.unsent).parts == 0
    }

    /// Waits until h2 has written them.
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

/// A small part that h2 has.
struct SmallPart {
    bytes: Bytes,
    connection: Arc<ConnectionState>,
}

impl AsRef<[u8]> for SmallPart {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for SmallPart {
    fn drop(&mut self) {
        self.connection.small_parts.subtract();
    }
}

/// A part that h2 has, and that is waited for.
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
