//! Reads and applies the peer's replies, including those that arrive before the end of the connection.

use super::{STREAM, Session};
use crate::errors::CloseReason;
use crate::outbox::message::Message;
use crate::outbox::user_code;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;

/// How many bytes one read takes. Replies are short.
const READ: usize = 8 * 1024;

/// How many reads are made after the end: more than the receive buffer of a socket holds.
const LAST_READS: usize = 4096;

/// How long the last replies of a connection that the peer ended have to come out of the socket: they are in it.
const LAST_REPLIES: Duration = Duration::from_secs(1);

impl<T: Message> Session<'_, T> {
    /// Reads until nothing is left, at most `times` times. Returns whether there may be more.
    pub(super) fn read(&mut self, cx: &mut Context<'_>, times: usize) -> io::Result<bool> {
        for _ in 0..times {
            if self.eof {
                return Ok(false);
            }
            let mut room = [MaybeUninit::uninit(); READ];
            let mut room = ReadBuf::uninit(&mut room);
            let stream = self.parts.stream.as_mut();
            let polled = user_code::guard(STREAM, || Ok(stream.poll_read(cx, &mut room)));
            match polled.inspect_err(|_| self.broken = true)? {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => continue,
                Poll::Ready(read) => read?,
            }
            self.eof = room.filled().is_empty();
            self.any_received |= !self.eof;
            if self.replies.is_some() {
                if self.eof {
                    // No later message could be confirmed. The rest of `input` is an incomplete reply.
                    return Err(CloseReason::PeerClosed.into());
                }
                self.input.extend_from_slice(room.filled());
                self.decode().inspect_err(|_| self.broken = true)?;
            }
        }
        Ok(true)
    }

    /// Decodes the replies in `input` and applies them.
    fn decode(&mut self) -> io::Result<()> {
        let Some(replies) = &mut self.replies else {
            return Ok(());
        };
        self.processed.clear();
        let decoded = loop {
            match replies.next(&mut self.input, &mut self.processed) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if !self.processed.is_empty() && self.shared.apply(&self.processed, &mut self.deferred) {
            self.progress();
        }
        decoded?;
        if self.input.len() > self.limits.max_reply {
            let most = self.limits.max_reply;
            let what = format!("hangup: a reply is longer than {most} bytes: see `max_reply`");
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        Ok(())
    }

    /// The connection is over. Applies the replies and acknowledgements that arrived before.
    pub(super) async fn take_last(&mut self) {
        if self.replies.is_none() {
            if let Some(acknowledged) = self.parts.monitor.transfer().acknowledged {
                self.acknowledged(acknowledged);
            }
            return;
        }
        if self.broken {
            // What a decoder makes of the bytes behind its error are no replies.
            return;
        }
        // After an end that the peer made, the socket holds its last replies and then the end. The runtime may
        // not know of them yet: a read is pending until its driver has run.
        let by_peer = self.parts.monitor.status().reason().is_some_and(is_by_peer);
        let rest = poll_fn(|cx| match self.read(cx, LAST_READS) {
            Ok(false) if by_peer && !self.eof => Poll::Pending,
            Ok(_) | Err(_) => Poll::Ready(()),
        });
        let _ = tokio::time::timeout(LAST_REPLIES, rest).await;
    }
}

/// Whether a read finds the end behind what had arrived.
fn is_by_peer(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::PeerClosed
        | CloseReason::Reset
        | CloseReason::Truncated
        | CloseReason::Tls
        | CloseReason::TlsAlert
        | CloseReason::Failed(_) => true,
        CloseReason::TimedOut
        | CloseReason::Unreachable
        | CloseReason::Stalled
        | CloseReason::Finished
        | CloseReason::Aborted
        | CloseReason::Dropped
        | CloseReason::RuntimeShutdown => false,
    }
}
