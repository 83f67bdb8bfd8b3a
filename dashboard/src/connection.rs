//! One connection, and the responses in progress on it.

use crate::board::Board;
use crate::ended_response::{AfterClose, EndedResponse};
use crate::response::Response;
use hangup::Monitor;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Wake;
use std::time::Instant;

pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) monitor: Monitor,
    pub(crate) since: Instant,
    /// Weak, because the open stream holds the waker, which is this connection.
    board: Weak<Board>,
    responses: Mutex<Responses>,
    closed_at: OnceLock<Instant>,
}

#[derive(Default)]
struct Responses {
    begun: u64,
    /// By number. In HTTP/2 there may be several.
    running: BTreeMap<u64, Arc<Response>>,
}

impl Connection {
    pub(crate) fn new(number: u64, peer: SocketAddr, monitor: Monitor, board: &Arc<Board>) -> Self {
        Self {
            number,
            peer,
            monitor,
            since: Instant::now(),
            board: Arc::downgrade(board),
            responses: Mutex::default(),
            closed_at: OnceLock::new(),
        }
    }

    /// Adds a response. Returns its number.
    pub(crate) fn begin(&self, response: Arc<Response>) -> u64 {
        let mut responses = self.responses();
        responses.begun += 1;
        let number = responses.begun;
        responses.running.insert(number, response);
        drop(responses);
        self.changed();
        number
    }

    /// The response has ended. `complete` says whether all of it was sent, and `error` is the error of its body.
    pub(crate) fn end(
        &self,
        number: u64,
        complete: bool,
        error: Option<String>,
    ) -> Option<EndedResponse> {
        let response = self.responses().running.remove(&number)?;
        let now = Instant::now();
        let close_reason = self.monitor.close_reason();
        let cut_short = (!complete).then(|| match (error, &close_reason) {
            (Some(error), None) => error,
            (_, Some(reason)) => reason.to_string(),
            // Only HTTP/2 can cancel one request. An HTTP/1.1 client has to close the connection.
            (None, None) if response.is_http2() => "cancelled".to_owned(),
            (None, None) => "given up by this server".to_owned(),
        });
        let left_by_peer = close_reason
            .as_ref()
            .is_some_and(|reason| !reason.is_local());
        let transfer = self.monitor.transfer();
        let unacknowledged = transfer
            .acknowledged
            .map(|bytes| transfer.accepted.saturating_sub(bytes));
        let after_close = self
            .closed_at
            .get()
            .filter(|_| left_by_peer)
            .map(|at| AfterClose {
                time: now.saturating_duration_since(*at),
                bytes: response.sent_after_close(),
            });
        Some(EndedResponse {
            peer: self.peer,
            request: response.request(),
            length: response.length(),
            sent: response.sent(),
            lasted: now.saturating_duration_since(response.begun),
            at: now,
            cut_short,
            unacknowledged: unacknowledged.filter(|_| !complete),
            after_close: after_close.filter(|_| !complete),
            monitor: self.monitor.clone(),
            end: response.before + response.sent(),
        })
    }

    /// The responses in progress, the oldest first.
    pub(crate) fn running(&self) -> Vec<(u64, Arc<Response>)> {
        let responses = self.responses();
        let running = responses.running.iter();
        running
            .map(|(number, response)| (*number, response.clone()))
            .collect()
    }

    pub(crate) fn is_responding(&self) -> bool {
        !self.responses().running.is_empty()
    }

    /// Records the time of the close, and removes the connection from the board.
    pub(crate) fn closed(&self) {
        if self.closed_at.set(Instant::now()).is_err() {
            return;
        }
        for (_, response) in self.running() {
            response.connection_closed();
        }
        if let Some(board) = self.board.upgrade() {
            board.leave(self);
        }
    }

    pub(crate) fn changed(&self) {
        if let Some(board) = self.board.upgrade() {
            board.changed();
        }
    }

    fn responses(&self) -> MutexGuard<'_, Responses> {
        self.responses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection is the waker of the monitor's `Closed`, so it learns of its end without a task.
impl Wake for Connection {
    fn wake(self: Arc<Self>) {
        // A wake may be spurious.
        if self.monitor.is_closed() {
            self.closed();
        }
    }
}
