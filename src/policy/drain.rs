//! Decides from pending calls whether a peer reads. Pure: the caller passes the time and the readings in.
//!
//! # How pending calls count
//!
//! The clock runs while a write, a flush or a shutdown is pending, and stands still in between. So a peer gains nothing
//! by taking one byte, after which the write is pending again. After a whole window without a pending call, a new window
//! starts. What the peer has taken is read twelve times in a window, and compared with the reading twelve readings ago,
//! which is a window ago or longer.
//! So each window of that length counts, wherever it begins, and a peer that stops is detected within a window and a
//! twelfth.
//!
//! # Late readings
//!
//! A reading is late if it comes a twelfth of a window, or more, after its time. Either the runtime is busy, or the program
//! has dropped the call and makes another one. Both look the same from here. Nobody but the caller writes to the stream, so
//! the readings themselves tell what a late one is worth:
//!
//! * **Bytes were accepted since the last reading.** The peer may have made room long before we came to use it. The
//!   reading does not count. After a whole window, a new one starts.
//! * **Nothing was accepted.** There was no room all the time, whether or not somebody waited for it. The reading counts
//!   once, however late it is, if the last one was of this kind too. A single one does not count: the runtime may not have
//!   learned of the room yet, and a call that was dropped once has nobody waiting.
//!
//! So a peer that takes nothing is detected after a bounded number of readings, and a peer that takes what it gets is not
//! blamed for a busy runtime.

use super::stall_policy::{LOOKS, StallPolicy};
use std::mem::replace;
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
    #[cfg(any(
        test,
        all(any(target_os = "linux", target_os = "android"), not(hangup_fallback))
    ))]
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
    /// The last readings that counted, and their times; the `n`th is at `n % LOOKS`. They are later by the time before each
    /// reading that did not count: nobody knows who had to wait then.
    marks: [(Instant, Reading); LOOKS as usize],
    /// The number of readings that counted so far.
    looks: usize,
    /// When the last reading was taken, whether or not it counted.
    last: Instant,
    /// When the next one is due.
    next: Instant,
    /// What had been accepted at the last reading, whether or not it counted.
    accepted: u64,
    /// The last reading was late, and nothing had been accepted since the one before.
    is_late_and_still: bool,
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
        let policy = self.policy;
        let running = self.window.as_mut();
        let running = running.and_then(|window| window.resume(now, &policy).then_some(window));
        let reading = match running {
            None => read(),
            Some(window) => {
                window.step = step;
                if now < window.next {
                    return Verdict::Until(window.next);
                }
                let reading = read();
                if let Some(verdict) = window.judge(now, reading, &policy) {
                    return verdict;
                }
                reading
            }
        };
        let window = self.window.insert(Window::new(step, now, reading, &policy));
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

impl Window {
    /// Begins with the first reading.
    fn new(step: Step, now: Instant, reading: Reading, policy: &StallPolicy) -> Self {
        Self {
            marks: [(now, reading); LOOKS as usize],
            looks: 1,
            last: now,
            next: now + policy.slice(),
            accepted: reading.taken,
            is_late_and_still: false,
            step,
            paused: None,
        }
    }

    /// A call is pending: ends the pause before it. `false` if a new window has to start.
    fn resume(&mut self, now: Instant, policy: &StallPolicy) -> bool {
        let Some(paused) = self.paused.take() else {
            return true;
        };
        let pause = now.saturating_duration_since(paused);
        self.next += pause.min(policy.window());
        pause < policy.window()
    }

    /// Takes a reading that is due. `None` if a new window has to start.
    fn judge(&mut self, now: Instant, reading: Reading, policy: &StallPolicy) -> Option<Verdict> {
        let (slice, length) = (policy.slice(), policy.window());
        let since_last = now.saturating_duration_since(replace(&mut self.last, now));
        let late_by = now.saturating_duration_since(self.next);
        let is_late = late_by >= slice;
        let is_still = replace(&mut self.accepted, reading.taken) == reading.taken;
        let was_late_and_still = replace(&mut self.is_late_and_still, is_late && is_still);
        if !is_still && late_by >= length {
            return None;
        }
        // A late reading makes its own slice longer, and no other slice shorter.
        self.next += slice;
        if self.next <= now {
            self.next = now + slice;
        }
        if is_late && !(is_still && was_late_and_still) {
            for (then, _) in &mut self.marks {
                *then += since_last;
            }
            return Some(Verdict::Until(self.next));
        }
        let mark = &mut self.marks[self.looks % LOOKS as usize];
        let (then, taken_then) = *mark;
        if self.looks >= LOOKS as usize && reading.since(taken_then) < policy.bytes() {
            // A reading that was somewhat late is not a whole window ago yet.
            if now.saturating_duration_since(then) >= length {
                return Some(Verdict::Stalled);
            }
            self.next = then + length;
            return Some(Verdict::Until(self.next));
        }
        *mark = (now, reading);
        self.looks += 1;
        Some(Verdict::Until(self.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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

    const SECOND: Duration = Duration::from_secs(1);
    const WINDOW: Duration = Duration::from_secs(LOOKS as u64);

    /// The number of readings until a peer that takes nothing is detected. Each one is due, and then so much late.
    fn readings_until_stalled(mut late_by: impl FnMut() -> Duration) -> Option<usize> {
        let mut drain = Drain::new(StallPolicy::new(10_000, WINDOW));
        let mut now = Instant::now();
        (1..100).find(|_| match drain.pending(Step::Write, now, || 64.into()) {
            Verdict::Stalled => true,
            Verdict::Until(next) => {
                now = next + late_by();
                false
            }
        })
    }

    /// On a machine without a free processor, a stream with a window of 24 ms was still open after 30 s. Each reading
    /// that came later than a window began a new one, as if the call before it had been dropped.
    #[test]
    fn a_peer_that_takes_nothing_is_detected_by_a_runtime_that_is_always_late() {
        assert_eq!(readings_until_stalled(|| Duration::ZERO), Some(13));
        // The first late reading does not count.
        for late_by in [SECOND, WINDOW / 2, WINDOW, 2 * WINDOW, 1000 * WINDOW] {
            assert_eq!(readings_until_stalled(|| late_by), Some(14), "{late_by:?}");
        }
        // Every eighth reading is late.
        let mut readings = 0;
        let mut often = || {
            readings += 1;
            2 * WINDOW * u32::from(readings % 8 == 0)
        };
        assert_eq!(readings_until_stalled(&mut often), Some(14));
    }

    /// Takes a reading after a pause, of what the peer has taken so far.
    fn looks() -> impl FnMut(Duration, u64) -> Verdict {
        let mut drain = Drain::new(StallPolicy::new(10_000, WINDOW));
        let mut now = Instant::now();
        move |pause, taken| {
            now += pause;
            drain.pending(Step::Write, now, || taken.into())
        }
    }

    /// A call is dropped while it is pending. Nobody waits for a long time, and then another call is pending.
    #[test]
    fn the_time_without_a_call_does_not_count() {
        let mut look = looks();
        for _ in 0..8 {
            assert!(matches!(look(SECOND, 64), Verdict::Until(_)));
        }
        assert!(matches!(look(100 * WINDOW, 64), Verdict::Until(_)));
        for _ in 0..4 {
            assert!(matches!(look(SECOND, 64), Verdict::Until(_)));
        }
        assert_eq!(look(SECOND, 64), Verdict::Stalled);
    }

    /// What the peer took while nobody waited is in its favour, however little fitted into the buffer.
    #[test]
    fn a_peer_that_took_everything_meanwhile_has_a_new_window() {
        let mut look = looks();
        for _ in 0..12 {
            assert!(matches!(look(SECOND, 64), Verdict::Until(_)));
        }
        // The call found room, and the next one is pending at the same time.
        assert!(matches!(look(2 * WINDOW, 128), Verdict::Until(_)));
        for _ in 0..11 {
            assert!(matches!(look(SECOND, 128), Verdict::Until(_)));
        }
        assert_eq!(look(SECOND, 128), Verdict::Stalled);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

        /// The peer takes 10 000 bytes in a window, as long as the buffer holds some. The writer is polled at any time, and
        /// fills the buffer, which holds what the peer takes in two slices, or more: a poll that counts comes so late at most.
        /// After a late wake-up the writer may not know of the room before it is polled again.
        #[test]
        fn a_busy_runtime_makes_no_peer_look_stalled(
            capacity in 1_700_u64..100_000,
            polls in proptest::collection::vec(
                (prop_oneof![9 => 0..2000_u64, 1 => 0..30_000_u64], any::<bool>()),
                if cfg!(miri) { 40 } else { 400 },
            ),
        ) {
            let mut drain = Drain::new(StallPolicy::new(10_000, WINDOW));
            let (mut now, mut accepted, mut room) = (Instant::now(), capacity, 0);
            let mut is_stale = false;
            for (milliseconds, stale) in polls {
                let pause = Duration::from_millis(milliseconds);
                now += pause;
                room = capacity.min(room + (pause.as_secs_f64() * 10_000.0 / 12.0).ceil() as u64);
                is_stale = !is_stale && stale && pause >= 2 * SECOND;
                if room > 0 && !is_stale {
                    accepted += room;
                    room = 0;
                    drain.done(Step::Write, now);
                }
                let verdict = drain.pending(Step::Write, now, || accepted.into());
                prop_assert_ne!(verdict, Verdict::Stalled);
            }
        }
    }
}
