//! What a whole history of events comes to: a plain model of the state machine, without a state.

use crate::state::event::Event;
use crate::state::status::Status;
use hangup::CloseReason;

/// How the stream stands after all that happened to it. `allowed`: a FIN does not close it.
pub(crate) fn judge(allowed: bool, history: &[Event]) -> Status {
    for (index, event) in history.iter().enumerate() {
        let before = &history[..index];
        let ours_is_done = before.contains(&Event::ShutDown);
        let theirs_is_done = before.iter().any(is_fin);
        let orderly_or = |reason| match ours_is_done {
            true => CloseReason::Finished,
            false => reason,
        };
        return Status::Closed(match event {
            // With one direction over the stream goes on; under the other policy a FIN is the end.
            Event::ShutDown if !theirs_is_done => continue,
            Event::Fin | Event::EndOfInput if allowed && !ours_is_done => continue,
            Event::ShutDown => CloseReason::Finished,
            Event::Fin | Event::EndOfInput | Event::HungUp => orderly_or(CloseReason::PeerClosed),
            Event::BothFinished => CloseReason::Finished,
            Event::Vanished => orderly_or(CloseReason::Reset),
            Event::Reset { after_fin } => match *after_fin && !allowed {
                true => CloseReason::PeerClosed,
                false => CloseReason::Reset,
            },
            Event::Truncated => CloseReason::Truncated,
            Event::Failed(reason) => reason.clone(),
            Event::Stalled => CloseReason::Stalled,
            Event::Aborted => CloseReason::Aborted,
            Event::Dropped => CloseReason::Dropped,
            Event::RuntimeShutdown => CloseReason::RuntimeShutdown,
        });
    }
    match history.iter().any(is_fin) {
        true => Status::PeerFinished,
        false => Status::Open,
    }
}

fn is_fin(event: &Event) -> bool {
    matches!(event, Event::Fin | Event::EndOfInput)
}

/// Whether a write still waits for the reader (invariant 10): nothing but FINs has happened since one of
/// them closed the stream, and no read has come to the end of the input. An input that a write has found cut short is
/// such a FIN, and closes the stream in any case.
pub(crate) fn is_fin_unread(allowed: bool, history: &[Event]) -> bool {
    let closes = |event: &Event| *event == Event::Truncated || !allowed && *event == Event::Fin;
    let Some(closed) = history.iter().position(closes) else {
        return false;
    };
    let is_end = |event: &Event| matches!(event, Event::Fin | Event::Truncated);
    let before = &history[..closed];
    let is_open = !judge(allowed, before).is_closed() && !before.contains(&Event::ShutDown);
    is_open && history[closed..].iter().all(is_end)
}

/// Whether anything in `history` was our own doing.
pub(crate) fn anything_local(history: &[Event]) -> bool {
    history.iter().any(|event| {
        matches!(
            event,
            // With `BothFinished` the OS says that we did the shutdown.
            Event::ShutDown
                | Event::BothFinished
                | Event::Aborted
                | Event::Dropped
                | Event::RuntimeShutdown
        )
    })
}
