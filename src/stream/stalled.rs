//! The task that checks how much is owed to a peer, for a stall policy.

use crate::policy::{OwedWindow, StallPolicy};
use crate::state::{Closed, DetectedBy, Event};
use crate::watcher::Socket;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Release};
use tokio::time::timeout;

/// Judges until nothing is owed, or the stream has closed. `is_attended` is set while this runs, and cleared at the
/// end.
pub(super) async fn attend(
    socket: Arc<Socket>,
    mut closed: Closed,
    policy: StallPolicy,
    reset: bool,
    is_attended: Arc<AtomicBool>,
) {
    let mut window: Option<OwedWindow> = None;
    loop {
        let Some(owed) = socket.owed_bytes() else {
            return;
        };
        let drained = socket.drained();
        match &mut window {
            _ if owed == 0 => {
                is_attended.store(false, Release);
                // A write that came meanwhile found the flag up.
                if socket.owed_bytes() == Some(0) || is_attended.swap(true, AcqRel) {
                    return;
                }
                window = None;
                continue;
            }
            None => window = Some(OwedWindow::new(policy, drained, owed)),
            Some(window) => {
                if window.look(drained, owed) {
                    return match reset {
                        true => socket.abort(Event::Stalled, DetectedBy::StallPolicy),
                        false => socket.observe(Event::Stalled, DetectedBy::StallPolicy),
                    };
                }
            }
        }
        if timeout(policy.slice(), &mut closed).await.is_ok() {
            return;
        }
    }
}
