//! Confirms messages by the bytes that the peer's TCP has acknowledged.
//!
//! With `Confirm::Acknowledged` a session has to know which message ends at which byte of the stream. It counts bytes
//! from `Monitor::accepted` when the connection begins, and pushes a mark (bytes, number) into `AckMarks`:
//!
//! * on a stream that the monitor counts itself (`direct`), every [`GRAIN`] bytes inside a batch, and at its end;
//! * on a stream above it, such as TLS, only when a batch is flushed: how many bytes of the lower stream a
//!   message becomes is not known earlier.
//!
//! The kernel sends no event for an acknowledgement, so the session asks: after [`LOOK_AFTER`] bytes, or
//! [`FIRST_LOOK`] after a batch, and then at doubling intervals up to [`LAST_LOOK`] while marks are left.

use super::{BATCH, FIRST_LOOK, LOOK_AFTER, Session, UNKNOWN};
use crate::outbox::message::Message;
use crate::state::Transfer;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::time::Instant;

/// The distance of two marks inside a batch, in bytes.
pub(super) const GRAIN: usize = 4 * 1024;

/// The interval doubles from [`FIRST_LOOK`] up to this.
const LAST_LOOK: Duration = Duration::from_millis(50);

impl<T: Message> Session<'_, T> {
    /// Refuses a stream whose acknowledged bytes are not known, before anything is written to it.
    pub(super) fn check_acknowledged(&self) -> io::Result<()> {
        let monitor = &self.parts.monitor;
        let known = || monitor.is_closed() || monitor.transfer().acknowledged.is_some();
        if self.replies.is_some() || (0..UNKNOWN).any(|_| known()) {
            return Ok(());
        }
        Err(unknown_acknowledged())
    }

    /// Adds a mark: all messages before `position` end at the current end of the batch. Does nothing if the last mark is
    /// fewer than `grain` bytes away.
    pub(super) fn mark(&mut self, position: u64, grain: usize) {
        if self.replies.is_some() || !self.parts.direct {
            return;
        }
        let end = self.position + self.output.len() as u64;
        if end >= self.marked + grain as u64 {
            self.marks.push(end, position);
            self.marked = end;
        }
    }

    /// A batch was flushed. Asks the kernel now if enough time has passed or enough bytes were written. Otherwise sets
    /// the time of the next question.
    pub(super) fn look_soon(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let next = self.looked + FIRST_LOOK;
        if next <= now || self.unseen >= LOOK_AFTER {
            self.look = Some(now);
            return self.look_now();
        }
        self.look = Some(self.look.map_or(next, |look| look.min(next)));
        Ok(())
    }

    /// Asks the kernel for the acknowledged bytes, if the time has come.
    pub(super) fn look_now(&mut self) -> io::Result<()> {
        let now = match self.look {
            Some(look) => Some(Instant::now()).filter(|now| look <= *now),
            None => None,
        };
        let Some(now) = now else {
            return Ok(());
        };
        self.looked = now;
        self.unseen = 0;
        match self.parts.monitor.transfer() {
            Transfer {
                acknowledged: Some(acknowledged),
                ..
            } => {
                self.unknown = 0;
                self.acknowledged(acknowledged);
            }
            _ => {
                self.unknown += 1;
                if self.unknown == UNKNOWN {
                    return Err(unknown_acknowledged());
                }
            }
        }
        if self.marks.is_empty() {
            self.look = None;
        } else {
            self.look = Some(now + self.pause);
            self.pause = LAST_LOOK.min(self.pause * 2);
        }
        Ok(())
    }

    /// The first `bytes` bytes of the stream are acknowledged. A confirmation also doubles the batch, up to [`BATCH`].
    pub(super) fn acknowledged(&mut self, bytes: u64) {
        let Some(position) = self.marks.pass(bytes) else {
            return;
        };
        if self.shared.confirm_below(position, &mut self.deferred) {
            self.progress();
            self.batch = BATCH.min(self.batch.saturating_mul(2));
        }
    }
}

/// The error for a stream whose acknowledged bytes are not known.
fn unknown_acknowledged() -> io::Error {
    io::Error::new(
        ErrorKind::Unsupported,
        "hangup: the bytes that the peer has acknowledged are not known of this stream: use \
         `Confirm::by_peer`, or give a TLS stream as `Connection::over(tls, monitor_of_the_tcp_stream)`",
    )
}
