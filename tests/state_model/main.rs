//! Every history of up to [`LENGTH`] events through the state machine, against a model that looks at
//! the whole history at once.
//!
//! Alone in its program: it compiles the state machine from its source, whose paths begin at the crate.

#![allow(dead_code, unreachable_pub)] // the files of the state machine are parts of a library

mod judge;

mod errors {
    pub(crate) use hangup::CloseReason;
}

// The state machine is no part of the library's interface, and is compiled here from its source.
#[path = "../../src/state"]
mod state {
    pub(crate) mod event;
    pub(crate) mod half_close;
    pub(crate) mod machine;
    pub(crate) mod status;
}

use hangup::CloseReason;
use judge::{anything_local, is_fin_unread, judge};
use state::event::Event;
use state::half_close::HalfClose;
use state::machine::State;
use state::status::Status;

/// Three events can play a part in a status; after that all must stay as it is.
const LENGTH: usize = if cfg!(miri) { 3 } else { 5 };

const EVENTS: [Event; 15] = [
    Event::Fin,
    Event::EndOfInput,
    Event::HungUp,
    Event::BothFinished,
    Event::Vanished,
    Event::Reset { after_fin: false },
    Event::Reset { after_fin: true },
    Event::Truncated,
    Event::Failed(CloseReason::TimedOut),
    Event::Failed(CloseReason::Truncated),
    Event::Stalled,
    Event::ShutDown,
    Event::Aborted,
    Event::Dropped,
    Event::RuntimeShutdown,
];

/// Tries all continuations of `history`, which has led to `state`. Gives how many there are.
fn try_all(allowed: bool, history: &mut Vec<Event>, state: &State) -> usize {
    if history.len() == LENGTH {
        return 0;
    }
    let mut tried = 0;
    for event in EVENTS {
        history.push(event.clone());
        let next = state.clone().on(event);
        let status = next.status();
        assert_eq!(*status, judge(allowed, history), "{history:?}");
        // Invariant 1.
        assert!(
            !state.status().is_closed() || state.status() == status,
            "{history:?}"
        );
        // Invariant 8.
        assert!(
            anything_local(history) || !status.reason().is_some_and(CloseReason::is_local),
            "{history:?}"
        );
        // Invariant 10.
        assert_eq!(
            next.is_fin_unread(),
            is_fin_unread(allowed, history),
            "{history:?}"
        );
        assert!(!next.is_fin_unread() || !next.refuses_writes());
        let had_finished = state.has_peer_finished() || *status == Status::PeerFinished;
        assert_eq!(next.has_peer_finished(), had_finished, "{history:?}");
        tried += 1 + try_all(allowed, history, &next);
        history.pop();
    }
    tried
}

#[test]
fn every_history_comes_to_what_the_model_says() {
    for half_close in [HalfClose::Close, HalfClose::Allow] {
        let state = State::new(half_close);
        assert_eq!(*state.status(), Status::Open);
        let tried = try_all(half_close == HalfClose::Allow, &mut Vec::new(), &state);
        assert_eq!(
            tried,
            (1..=LENGTH as u32)
                .map(|n| EVENTS.len().pow(n))
                .sum::<usize>()
        );
    }
}
