//! The task that checks how much is owed to a peer, for a stall policy.

use crate::policy::{Attendance, OwedWindow};
use crate::state::{Closed, DetectedBy, Event};
use crate::watcher::Socket;
use std::sync::Arc;
use std::sync::atomic::Ordering::AcqRel;
use tokio::time::timeout;

/// Judges until nothing is owed, or the stream has closed.
///
/// The first task of a stream ends as soon as nothing is owed. A stream that is written to again is likely to go on, so
/// its later tasks end only after a twelfth of the window in which nothing was written: otherwise each write of a
/// conversation would start a task.
pub(super) async fn attend(socket: Arc<Socket>, mut closed: Closed, attendance: Attendance) {
    let Attendance {
        policy,
        reset,
        is_attended,
        again,
    } = attendance;
    let mut window: Option<OwedWindow> = None;
    // What had been accepted at the last look, if nothing was owed.
    let mut quiet_at = None;
    loop {
        let accepted = socket.counters.accepted();
        // As far as is known nothing is owed, so this look may be the last one. A write that comes meanwhile begins another
        // task, which goes on in the place of this one.
        let may_end = window.is_none() && (!again || quiet_at == Some(accepted));
        if may_end {
            // Either this comes after the swap of a write, and the bytes of that write are owed below; or the write finds that
            // no task runs.
            is_attended.swap(false, AcqRel);
        }
        let Some(owed) = socket.owed_bytes() else {
            return;
        };
        if may_end && (owed == 0 || is_attended.swap(true, AcqRel)) {
            return;
        }
        if owed > 0 {
            quiet_at = None;
            let drained = socket.drained();
            match &mut window {
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
        } else if again && quiet_at != Some(accepted) {
            window = None;
            quiet_at = Some(accepted);
        } else {
            // Another look, with which it may end.
            window = None;
            continue;
        }
        if timeout(policy.slice(), &mut closed).await.is_ok() {
            return;
        }
    }
}
