//! Decides from pending calls whether a peer reads. Pure: the caller passes the time and the readings in.
//!
//! # How pending calls count
//!
//! The clock runs while a write, a flush or a shutdown is pending, and stands still in between. So a peer gains nothing
//! by taking one byte, after which the write is pending again. After a whole window without a pending call, a new window
//! starts. What the peer has taken is read twelve times in a window, and compared with the reading twelve readings ago.
//! So each window of that length counts, wherever it begins, and a peer that stops is detected within a window and a
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

/// What a peer has taken, as far as the system reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// A number that grows by each byte that the peer takes. For a Unix socket: by each byte that the system accepts.
    taken: u64,
    /// For a Unix socket: the memory that holds what the peer has not read yet.
    held: u64,
}

/// The bytes that the peer has taken, or that the system has accepted.
impl From<u64> for Reading {
    fn from(taken: u64) -> Self {
        Self { taken, held: 0 }
    }
}

impl Reading {
    /// Of a queue whose memory is known and whose bytes are not.
    ///
    /// A message of 100 bytes takes some 800 bytes of memory. So the growth of the queue must not be subtracted from
    /// the accepted bytes: a peer that reads would look like one that takes less than nothing, each time the writer
    /// fills the queue again.
    #[cfg(any(test, target_os = "linux", target_os = "android"))]
    pub(crate) fn queue(accepted: u64, held: u64) -> Self {
        Self {
            taken: accepted,
            held,
        }
    }

    /// How many bytes were taken since `then`: zero for a peer that takes nothing, and never too few, but for the rest
    /// of a message that is read in part, whose memory is freed at its end.
    fn since(self, then: Self) -> u64 {
        let freed = then.held.saturating_sub(self.held);
        self.taken.saturating_sub(then.taken) + freed
    }
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
    /// The last readings; the `n`th is at `n % LOOKS`.
    marks: [Reading; LOOKS as usize],
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
        read: impl FnOnce() -> Reading,
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
                marks: [read(); LOOKS as usize],
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
        let reading = read();
        let mark = &mut window.marks[window.looks % LOOKS as usize];
        if window.looks >= LOOKS as usize && reading.since(*mark) < bytes {
            return Verdict::Stalled;
        }
        *mark = reading;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A Unix socket's queue: messages of 100 bytes, each in 768 bytes of memory. The writer is woken when a quarter is
    /// left, and fills it.
    #[derive(Default)]
    struct Queue {
        accepted: u64,
        messages: u64,
    }

    impl Queue {
        const FULL: u64 = 277;

        fn fill(&mut self) {
            self.accepted += 100 * (Self::FULL - self.messages);
            self.messages = Self::FULL;
        }

        fn take(&mut self, messages: u64) {
            self.messages -= messages;
            if self.messages <= Self::FULL / 4 {
                self.fill();
            }
        }

        fn reading(&self) -> Reading {
            Reading::queue(self.accepted, 768 * self.messages)
        }
    }

    /// In each of `looks` the peer takes so many messages, for a policy of 10 000 bytes in twelve looks.
    fn is_stalled(looks: u32, messages: u64) -> bool {
        let second = Duration::from_secs(1);
        let mut drain = Drain::new(StallPolicy::new(10_000, LOOKS * second));
        let mut queue = Queue::default();
        queue.fill();
        let began = Instant::now();
        (0..looks).any(|look| {
            queue.take(messages);
            let now = began + look * second;
            drain.pending(Step::Write, now, || queue.reading()) == Verdict::Stalled
        })
    }

    /// After a late reading, twelve short slices would make a window that is shorter than the policy's.
    #[test]
    fn a_late_reading_makes_no_slice_shorter() {
        let second = Duration::from_secs(1);
        let mut drain = Drain::new(StallPolicy::new(10_000, LOOKS * second));
        let began = Instant::now();
        let mut look = |at: u32| drain.pending(Step::Write, began + at * second, || 0.into());
        assert_eq!(look(0), Verdict::Until(began + second));
        assert_eq!(look(1), Verdict::Until(began + 2 * second));
        assert_eq!(look(6), Verdict::Until(began + 7 * second));
        assert_eq!(look(7), Verdict::Until(began + 8 * second));
    }

    #[test]
    fn a_queue_that_is_filled_again_is_no_stall() {
        // 10 800 bytes in a window, and more.
        let looks = if cfg!(miri) { 30 } else { 500 };
        assert!((9..40).all(|messages| !is_stalled(looks, messages)));
        assert!(is_stalled(13, 0));
        assert!(is_stalled(30, 1));
    }
}
