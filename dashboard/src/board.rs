//! What is known of all connections: those that are open, the responses that ended last, and the counts.

use crate::connection::Connection;
use crate::ended_response::EndedResponse;
use crate::prometheus::Metrics;
use hangup::{CloseReason, Closed, Monitor};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;
use tokio::sync::Notify;

/// How many ended responses are kept.
pub(crate) const KEPT: usize = 50;

/// Called with each response that has ended.
pub(crate) type OnEnded = Box<dyn Fn(&EndedResponse) + Send + Sync>;

pub(crate) struct Board {
    since: Instant,
    state: Mutex<State>,
    changed: Notify,
    on_ended: Option<OnEnded>,
    pub(crate) metrics: Metrics,
}

#[derive(Default)]
struct State {
    /// By number. The future is kept because its waker is the connection.
    open: BTreeMap<u64, (Arc<Connection>, Option<Closed>)>,
    /// The open connection of each peer.
    peers: HashMap<SocketAddr, u64>,
    /// The newest first.
    ended: VecDeque<(u64, Arc<EndedResponse>)>,
    totals: Totals,
}

/// What was counted since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) connections: u64,
    pub(crate) responses: u64,
    /// Responses that ended before their last byte.
    pub(crate) cut_short: u64,
    /// The bytes of all ended bodies.
    pub(crate) sent: u64,
    /// The number of closed connections for each reason.
    pub(crate) reasons: BTreeMap<String, u64>,
}

/// The state at one moment. A number names one connection or response, and is never used again.
pub(crate) struct View {
    pub(crate) since: Instant,
    pub(crate) open: Vec<(u64, Arc<Connection>)>,
    pub(crate) ended: Vec<(u64, Arc<EndedResponse>)>,
    pub(crate) totals: Totals,
}

impl Board {
    pub(crate) fn new(on_ended: Option<OnEnded>) -> Self {
        Self {
            since: Instant::now(),
            state: Mutex::default(),
            changed: Notify::new(),
            on_ended,
            metrics: Metrics::new(),
        }
    }

    /// The open connection of `peer`. Adds it to the list if it is new and not closed.
    pub(crate) fn connection(
        self: &Arc<Self>,
        peer: SocketAddr,
        monitor: &Monitor,
    ) -> Arc<Connection> {
        let mut state = self.state();
        let known = state
            .peers
            .get(&peer)
            .and_then(|number| state.open.get(number));
        if let Some((connection, _)) = known
            && !connection.monitor.is_closed()
        {
            return connection.clone();
        }
        state.totals.connections += 1;
        let number = state.totals.connections;
        let connection = Arc::new(Connection::new(number, peer, monitor.clone(), self));
        state.open.insert(number, (connection.clone(), None));
        state.peers.insert(peer, number);
        drop(state);
        self.metrics.connection_opened();

        // Polled without the lock. If the connection has closed by now, the future is ready, and the connection is removed.
        let waker = Waker::from(connection.clone());
        let mut closed = monitor.closed();
        let is_closed = Pin::new(&mut closed)
            .poll(&mut Context::from_waker(&waker))
            .is_ready();
        if is_closed {
            connection.closed();
        } else if let Some((_, place)) = self.state().open.get_mut(&number) {
            *place = Some(closed);
        }
        self.changed();
        connection
    }

    /// Removes a closed connection from the list.
    pub(crate) fn leave(&self, connection: &Connection) {
        let reason = connection.monitor.close_reason();
        let text = match &reason {
            // The text differs from error to error, and each would get its own line.
            Some(CloseReason::Failed(_)) | None => "failed".to_owned(),
            Some(CloseReason::Dropped) => "closed by this server".to_owned(),
            Some(reason) if reason.is_local() => format!("{reason}, by this server"),
            Some(reason) => reason.to_string(),
        };
        let mut state = self.state();
        let Some(left) = state.open.remove(&connection.number) else {
            return;
        };
        if state.peers.get(&connection.peer) == Some(&connection.number) {
            state.peers.remove(&connection.peer);
        }
        *state.totals.reasons.entry(text).or_default() += 1;
        drop(state);
        drop(left);
        self.metrics.connection_closed(reason.as_ref());
        self.changed();
    }

    pub(crate) fn ended(&self, ended: EndedResponse) {
        self.metrics.response_ended(&ended);
        let ended = Arc::new(ended);
        let mut state = self.state();
        state.totals.responses += 1;
        state.totals.cut_short += u64::from(!ended.is_complete());
        state.totals.sent += ended.sent();
        let number = state.totals.responses;
        state.ended.push_front((number, ended.clone()));
        state.ended.truncate(KEPT);
        drop(state);
        self.changed();
        // The callback is foreign code, so it runs without the lock. It may panic, in a drop while another panic unwinds.
        if let Some(on_ended) = &self.on_ended {
            let _ = catch_unwind(AssertUnwindSafe(|| on_ended(&ended)));
        }
    }

    /// Reports a change. It costs little while no task waits for it.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Waits for a change. For one task at a time.
    pub(crate) async fn change(&self) {
        self.changed.notified().await;
    }

    /// Whether a recorded response is under way.
    pub(crate) fn is_responding(&self) -> bool {
        let state = self.state();
        state
            .open
            .values()
            .any(|(connection, _)| connection.is_responding())
    }

    pub(crate) fn view(&self) -> View {
        let state = self.state();
        let open = state.open.iter();
        View {
            since: self.since,
            open: open
                .map(|(number, (connection, _))| (*number, connection.clone()))
                .collect(),
            ended: state.ended.iter().cloned().collect(),
            totals: state.totals.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Board")
            .field("open", &state.open.len())
            .field("totals", &state.totals)
            .finish_non_exhaustive()
    }
}
