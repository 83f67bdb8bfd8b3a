//! The activity of a connection: whether a request is in progress, and when the last one ended.
//!
//! Three time limits depend on it: the head timeout, the keep-alive timeout, and the choice of a victim when the
//! server has too many connections. All fields are atomics, because the I/O, the requests and the server's loop use
//! them from different tasks.

use crate::state::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use tokio::time::Instant;

/// The activity of one connection. Times are milliseconds since the connection began.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    /// Requests under way: a handler runs, or a response is being sent.
    in_flight: AtomicUsize,
    /// Requests that have begun so far.
    requests: AtomicU64,
    /// When the last request ended.
    idle_since: AtomicU64,
    /// One more than the time at which the first byte of the next head arrived; zero before.
    head_since: AtomicU64,
    /// The body of the last request was dropped before its end.
    unread_body: AtomicBool,
    /// The connection no longer speaks HTTP.
    upgraded: AtomicBool,
    /// The socket has not taken all that HTTP has to send. A body is dropped when HTTP has its last part, which may be
    /// all of it.
    unsent: AtomicBool,
}

/// What a connection without a request is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idle {
    /// It waits for its first request.
    New,
    /// A part of the next head has arrived.
    Head,
    /// It waits for its next request.
    KeepAlive,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            unread_body: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
            unsent: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.began + std::time::Duration::from_millis(milliseconds)
    }

    /// The handshake is complete. The time for the first head starts now.
    pub(super) fn handshake_done(&self) {
        self.idle_since.store(self.now(), Relaxed);
    }

    /// Whether the connection may be closed without a loss: no request is in progress, every response is sent, and the
    /// connection still speaks HTTP.
    fn is_idle(&self) -> bool {
        let is_sent = !self.is_blocked() || self.requests.load(Relaxed) == 0;
        self.in_flight.load(Acquire) == 0 && is_sent && !self.is_upgraded()
    }

    /// How many requests are in progress.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// Bytes were read. If no request is in progress, they begin the next head.
    #[inline]
    pub(super) fn received(&self) {
        if self.in_flight() == 0 && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.now() + 1, Relaxed);
        }
    }

    /// A head is complete, and the service is called.
    pub(super) fn request_began(&self) {
        self.in_flight.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        self.unread_body.store(false, Relaxed);
    }

    /// A request's body was dropped before its end.
    pub(super) fn body_unread(&self) {
        self.unread_body.store(true, Relaxed);
    }

    /// The connection is about to be upgraded (RFC 9110, section 7.8).
    pub(super) fn upgrade(&self) {
        self.upgraded.store(true, Relaxed);
    }

    /// Whether the connection no longer speaks HTTP.
    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    /// Whether the client has not sent all of a request: of its body, which nobody reads, or of its head.
    pub(super) fn is_request_incomplete(&self) -> bool {
        self.unread_body.load(Relaxed) || self.head_since.load(Relaxed) > 0
    }

    /// The socket does not take what HTTP has to send.
    pub(super) fn blocked(&self) {
        self.unsent.store(true, Relaxed);
    }

    /// Whether the socket does not take what HTTP has to send.
    pub(super) fn is_blocked(&self) -> bool {
        self.unsent.load(Acquire)
    }

    /// The socket has taken all that HTTP had to send.
    #[inline]
    pub(super) fn sent(&self) {
        if self.unsent.load(Relaxed) {
            // As in `request_ended`: the time first.
            self.idle_since.store(self.now(), Relaxed);
            self.unsent.store(false, Release);
        }
    }

    /// The response has been passed to hyper completely, or was dropped.
    pub(super) fn request_ended(&self) {
        // The time is stored before the count, so that a task that sees an idle connection also sees this time.
        self.idle_since.store(self.now(), Relaxed);
        self.in_flight.fetch_sub(1, Release);
    }

    /// When the connection became idle, and what it waits for. `None` while a request is in progress or a response is
    /// being sent. `heads` says whether bytes that arrive now belong to the next head.
    pub(super) fn idle(&self, heads: bool) -> Option<(Instant, Idle)> {
        let since = self.idle_since()?;
        let head = self.head_since.load(Relaxed);
        Some(match (self.requests.load(Relaxed), head) {
            (0, _) => (since, Idle::New),
            (_, head) if heads && head > 0 => (self.at(head - 1), Idle::Head),
            _ => (since, Idle::KeepAlive),
        })
    }

    /// Whether a part of a head has arrived that is not the first one of the connection. `heads` as in [`idle`](Self::idle).
    pub(super) fn is_in_later_head(&self, heads: bool) -> bool {
        matches!(self.idle(heads), Some((_, Idle::Head)))
    }

    /// Whether the client has sent nothing since the handshake.
    pub(super) fn is_silent(&self) -> bool {
        self.requests.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0
    }

    /// When the connection became idle; `None` while it is not.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.is_idle()
            .then(|| self.at(self.idle_since.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn from_the_first_head_to_keep_alive() {
        let second = Duration::from_secs(1);
        let began = Instant::now();
        let activity = Activity::new();
        assert_eq!(activity.idle(true), Some((began, Idle::New)));
        tokio::time::advance(second).await;
        activity.received();
        let new = Some((began, Idle::New));
        assert_eq!(activity.idle(true), new, "the first head has one bound");
        activity.request_began();
        assert_eq!((activity.idle(true), activity.idle_since()), (None, None));
        tokio::time::advance(second).await;
        activity.received();
        activity.request_ended();
        let ended = began + 2 * second;
        assert_eq!(activity.idle(true), Some((ended, Idle::KeepAlive)));
        tokio::time::advance(second).await;
        activity.received();
        tokio::time::advance(second).await;
        activity.received();
        assert_eq!(activity.idle(true), Some((began + 3 * second, Idle::Head)));
        assert_eq!(activity.idle(false), Some((ended, Idle::KeepAlive)));
        assert_eq!(activity.idle_since(), Some(ended));
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_is_not_sent() {
        let second = Duration::from_secs(1);
        let began = Instant::now();
        let activity = Activity::new();
        activity.blocked();
        let new = Some((began, Idle::New));
        assert_eq!(activity.idle(true), new, "there was no request");
        activity.request_began();
        activity.request_ended();
        tokio::time::advance(second).await;
        assert_eq!((activity.idle(true), activity.idle_since()), (None, None));
        activity.sent();
        let sent = Some((began + second, Idle::KeepAlive));
        assert_eq!(activity.idle(true), sent);
        tokio::time::advance(second).await;
        activity.sent();
        assert_eq!(activity.idle(true), sent, "only the first flush counts");
        activity.upgrade();
        assert_eq!(activity.idle_since(), None, "it is the program's");
    }
}
