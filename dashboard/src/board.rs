//! All connections: those that are open, the last responses that have ended, and how many there were.

use crate::ended::Ended;
use crate::ledger::{Audience, Ledger};
use hangup::CloseReason;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// So many ended responses are kept.
pub(crate) const KEPT: usize = 50;

pub(crate) struct Board {
    since: Instant,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    open: BTreeMap<u64, Arc<Ledger>>,
    /// The newest first.
    ended: VecDeque<(u64, Arc<Ended>)>,
    totals: Totals,
}

/// What was counted since the start.
#[derive(Clone, Default)]
pub(crate) struct Totals {
    pub(crate) connections: u64,
    pub(crate) responses: u64,
    /// The responses of which not all was accepted.
    pub(crate) cut_short: u64,
    /// The accepted bytes of all bodies.
    pub(crate) accepted: u64,
    /// How many connections closed for each reason.
    pub(crate) reasons: BTreeMap<String, u64>,
}

/// What there is to see at one moment. The numbers name connections and responses for ever.
pub(crate) struct View {
    pub(crate) since: Instant,
    pub(crate) open: Vec<(u64, Arc<Ledger>)>,
    pub(crate) ended: Vec<(u64, Arc<Ended>)>,
    pub(crate) totals: Totals,
}

/// A connection's place among the open ones, which it leaves when this is dropped.
pub(crate) struct Place {
    board: Arc<Board>,
    number: u64,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn enter(self: Arc<Self>, ledger: Arc<Ledger>) -> Place {
        let mut state = self.state();
        state.totals.connections += 1;
        let number = state.totals.connections;
        state.open.insert(number, ledger);
        drop(state);
        self.changed();
        Place {
            board: self,
            number,
        }
    }

    fn leave(&self, number: u64) {
        let mut state = self.state();
        if let Some(ledger) = state.open.remove(&number) {
            let reason = match ledger.monitor.close_reason() {
                // Their texts are without number.
                Some(CloseReason::Failed(_)) | None => "failed".to_owned(),
                Some(reason) if reason.is_local() => format!("{reason}, by this server"),
                Some(reason) => reason.to_string(),
            };
            *state.totals.reasons.entry(reason).or_default() += 1;
        }
        drop(state);
        self.changed();
    }

    pub(crate) fn ended(&self, ended: Ended) {
        let mut state = self.state();
        state.totals.responses += 1;
        state.totals.cut_short += u64::from(ended.why.is_some());
        state.totals.accepted += ended.accepted;
        let number = state.totals.responses;
        state.ended.push_front((number, Arc::new(ended)));
        state.ended.truncate(KEPT);
        drop(state);
        self.changed();
    }

    /// Something is new. Costs next to nothing while nobody waits for it.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Waits until something is new. For one task at a time.
    pub(crate) async fn news(&self) {
        self.changed.notified().await;
    }

    /// Whether a client is being sent something.
    pub(crate) fn is_serving(&self) -> bool {
        let serves = |ledger: &Arc<Ledger>| {
            let progress = ledger.progress();
            progress.is_some_and(|progress| progress.audience == Audience::Client)
        };
        self.state().open.values().any(serves)
    }

    pub(crate) fn view(&self) -> View {
        let state = self.state();
        let number = |(number, ledger): (&u64, &Arc<Ledger>)| (*number, ledger.clone());
        View {
            since: self.since,
            open: state.open.iter().map(number).collect(),
            ended: state.ended.iter().cloned().collect(),
            totals: state.totals.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.board.leave(self.number);
    }
}
