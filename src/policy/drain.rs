//! Decides from pending calls whether a peer reads. Pure: the caller passes the time and the readings in.
//!
//! # How pending calls count
//!
//! The clock runs while a write, a flush or a shutdown is pending, and stands still in between. So a peer gains nothing
//! by taking one byte, after which the write is pending again. After a whole window without a pending call, a new window
//! starts. The number of drained bytes is read twelve times in a window, and compared with the number twelve readings
//! ago. So each window of that length counts, wherever it begins, and a peer that stops is detected within a window and a
//! twelfth.

use super::stall_policy::{LOOKS, StallPolicy};
use std::time::Instant;

/// The kind of a call that waits for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Write,
    Flush,
    Shutdown,
}

/// What a reading says about the peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The peer is not stalled so far. The next reading is due at this time.
    Until(Instant),
    Stalled,
}

/// The policy and the readings of one stream. The caller passes the time in.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) policy: StallPolicy,
    /// `None` before the first pending call.
    window: Option<Window>,
}

#[derive(Debug)]
struct Window {
    /// The last readings of the drained bytes; the `n`th is at `n % LOOKS`.
    marks: [u64; LOOKS as usize],
    /// The number of readings so far.
    looks: usize,
    /// When the next one is due.
    next: Instant,
    /// The call that is pending, or was pending last.
    step: Step,
    /// Since when nothing is pending.
    paused: Option<Instant>,
}

impl Drain {
    pub(super) fn new(policy: StallPolicy) -> Self {
        Self {
            policy,
            window: None,
        }
    }

    /// `step` is pending.
    pub(super) fn pending(
        &mut self,
        step: Step,
        now: Instant,
        drained: impl FnOnce() -> u64,
    ) -> Verdict {
        let (bytes, length) = (self.policy.bytes(), self.policy.window());
        let slice = self.policy.slice();
        let running = self.window.as_mut().and_then(|window| {
            window.step = step;
            if let Some(paused) = window.paused.take() {
                let pause = now.saturating_duration_since(paused);
                window.next += pause.min(length);
                if pause >= length {
                    return None;
                }
            }
            // The last call was dropped while it was pending. This one starts a new window.
            (now.saturating_duration_since(window.next) < length).then_some(window)
        });
        let Some(window) = running else {
            let window = self.window.insert(Window {
                marks: [drained(); LOOKS as usize],
                looks: 1,
                next: now + slice,
                step,
                paused: None,
            });
            return Verdict::Until(window.next);
        };
        if now < window.next {
            return Verdict::Until(window.next);
        }
        let drained = drained();
        let mark = &mut window.marks[window.looks % LOOKS as usize];
        if window.looks >= LOOKS as usize && drained.saturating_sub(*mark) < bytes {
            return Verdict::Stalled;
        }
        *mark = drained;
        window.looks += 1;
        // A late reading makes its own slice longer, and no other slice shorter.
        window.next += slice;
        if window.next <= now {
            window.next = now + slice;
        }
        Verdict::Until(window.next)
    }

    /// `step` is done. Returns whether nothing is pending any more.
    pub(super) fn done(&mut self, step: Step, now: Instant) -> bool {
        let Some(window) = self.window.as_mut().filter(|window| window.step == step) else {
            return false;
        };
        window.paused.get_or_insert(now);
        true
    }
}
