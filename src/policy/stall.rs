//! Peers that are connected and do not read what we send.
//!
//! There are two ways to measure. If the kernel reports how many bytes it holds for the peer, a task reads that number as
//! long as there are any: [`OwedWindow`](super::OwedWindow). Otherwise only pending calls show that the peer does not
//! read, and this file measures those.
//!
//! [`Drain`] decides, without a runtime or a clock. [`Stall`] gives it a clock, and a timer that exists only while a call
//! is pending.
//!
//! # How pending calls count
//!
//! The clock runs while a write, a flush or a shutdown is pending, and stands still in between. So a peer gains nothing
//! by taking one byte, after which the write is pending again. After a whole window without a pending call, a new window
//! starts. The number of drained bytes is read twelve times in a window, and compared with the number twelve readings
//! ago. So each window of that length counts, wherever it begins, and a peer that stops is detected within a window and a
//! twelfth.

use super::timer;
use crate::state::Event;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::coop;
use tokio::time::Sleep;

/// The number of readings in a window. With twelve a stalled peer is detected within a window and a tenth, and some time
/// is left for a busy runtime.
pub(super) const LOOKS: u32 = 12;

/// The shortest window. tokio's timer counts milliseconds, and each reading takes one of them.
const SHORTEST: Duration = Duration::from_millis(LOOKS as u64);

/// The longest window, a year: adding it to the present time overflows no clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The rate at which a peer must take what we send, while there is something for it to take.
///
/// A peer that is connected and reads nothing, or very slowly, blocks a writer forever and holds memory. No FIN and no
/// reset comes, the peer's kernel answers keepalive, and one byte now and then satisfies a time limit on single
/// writes. So the policy is a rate: the peer must take at least `bytes` in each `window`, or everything that the
/// kernel held for it at the start of the window if that was less. A stream that falls below the rate closes with
/// [`CloseReason::Stalled`](crate::CloseReason::Stalled), at most a window and a tenth after the peer has stopped,
/// unless the runtime is busy for longer.
///
/// # How to choose the numbers
///
/// * Start from the slowest reader that you want to keep. A mobile client with 16 kbit/s takes 2 KB in a second, so
///   about 64 KiB in 30 s.
/// * A longer window tolerates longer pauses at the same rate: a client that changes from Wi-Fi to a mobile network may
///   be silent for ten seconds.
/// * A kernel acknowledges as long as it has room, and reports new room in steps of up to half of its buffer. So a
///   reader that is slow and steady looks like one that pauses. Choose a window in which it gets through some
///   100 KiB, or more if buffers are larger.
/// * One byte in a window (`StallPolicy::new(1, window)`) catches only a peer that takes nothing at all.
///
/// ```
/// use hangup::{MonitorConfig, StallPolicy};
/// use std::time::Duration;
///
/// let policy = StallPolicy::new(64 * 1024, Duration::from_secs(30));
/// let config = MonitorConfig::new().stall(policy).reset_on_stall(true);
/// # assert_eq!(policy.bytes(), 65536);
/// # assert_eq!(policy.window(), Duration::from_secs(30));
/// # assert_eq!(config, config.clone());
/// ```
///
/// # When it counts
///
/// On Linux, for TCP and for pipes, it counts while the kernel holds bytes that the peer has not taken, whether or
/// not a call of the stream is pending. So it also covers a response that fits into the send buffer. When the kernel
/// holds nothing, the window ends. A call that is pending for another reason, such as a rate limit of our own, is
/// not held against the peer.
///
/// On other systems, for Unix sockets and for streams without a socket, it counts while a write, a flush or a shutdown is
/// pending.
///
/// | stream | what counts as taken | when |
/// |---|---|---|
/// | TCP on Linux, also under TLS | bytes that the peer's kernel has acknowledged | while our kernel holds some |
/// | pipe on Linux | bytes that the reader has read | while the pipe holds some |
/// | Unix socket on Linux | bytes that the peer's program has read | while a call is pending |
/// | everything else | bytes that the wrapped stream accepts | while a call is pending |
///
/// In the last row the progress comes in large steps: a kernel accepts more only when a good part of its buffer is free
/// again, which may be a megabyte.
///
/// # What it costs
///
/// While it counts, a timer and twelve questions to the kernel in each window. Otherwise there is neither a timer nor a
/// wake-up.
///
/// # After the drop
///
/// A kernel goes on offering what it has accepted after the stream is dropped, for minutes. On Linux a TCP stream with a
/// policy sets its window as `TCP_USER_TIMEOUT` (tcp(7)) when it is dropped, so a peer that acknowledges nothing for
/// that long is given up. [`reset_on_stall`](crate::MonitorConfig::reset_on_stall) frees the memory as soon as the
/// stream closes.
///
/// # Compared with other limits
///
/// * A timeout around `write_all` also punishes a fast peer for a large write, and a timeout around each `write` is
///   satisfied by one byte.
/// * [`dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout) detects a peer that is gone. A stalled peer is there:
///   its kernel answers.
/// * A limit on the age of a connection ends slow and fast downloads alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StallPolicy {
    bytes: u64,
    window: Duration,
}

impl StallPolicy {
    /// At least `bytes` in each `window`.
    ///
    /// Zero bytes are raised to one. The window is raised to twelve milliseconds, or lowered to a year.
    ///
    /// ```
    /// use hangup::StallPolicy;
    /// use std::time::Duration;
    ///
    /// let least = StallPolicy::new(0, Duration::ZERO);
    /// assert_eq!((least.bytes(), least.window()), (1, Duration::from_millis(12)));
    /// ```
    pub fn new(bytes: u64, window: Duration) -> Self {
        Self {
            bytes: bytes.max(1),
            window: window.clamp(SHORTEST, LONGEST),
        }
    }

    /// The time between two readings.
    pub(crate) fn slice(&self) -> Duration {
        self.window / LOOKS
    }

    /// How many bytes the peer must take in each window.
    ///
    /// ```
    /// use hangup::StallPolicy;
    /// use std::time::Duration;
    ///
    /// assert_eq!(StallPolicy::new(1024, Duration::from_secs(10)).bytes(), 1024);
    /// ```
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The length of a window.
    ///
    /// ```
    /// use hangup::StallPolicy;
    /// use std::time::Duration;
    ///
    /// let window = Duration::from_secs(10);
    /// assert_eq!(StallPolicy::new(1024, window).window(), window);
    /// ```
    pub fn window(&self) -> Duration {
        self.window
    }
}

/// The kind of a call that waits for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Write,
    Flush,
    Shutdown,
}

/// What a reading says about the peer.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The peer is not stalled so far. The next reading is due at this time.
    Until(Instant),
    Stalled,
}

/// The policy and the readings of one stream. The caller passes the time in.
#[derive(Debug)]
struct Drain {
    policy: StallPolicy,
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
    /// `step` is pending.
    fn pending(&mut self, step: Step, now: Instant, drained: impl FnOnce() -> u64) -> Verdict {
        let StallPolicy {
            bytes,
            window: length,
        } = self.policy;
        let slice = length / LOOKS;
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
    fn done(&mut self, step: Step, now: Instant) -> bool {
        let Some(window) = self.window.as_mut().filter(|window| window.step == step) else {
            return false;
        };
        window.paused.get_or_insert(now);
        true
    }
}

/// The policy of one stream, with its clock.
#[derive(Debug)]
pub(crate) struct Stall {
    drain: Drain,
    /// Whether to reset the connection of a peer that has stalled.
    pub(crate) reset: bool,
    /// The runtime whose timer is used.
    runtime: Handle,
    /// Whether a task measures what the kernel holds for the peer.
    is_attended: Arc<AtomicBool>,
    /// `Some` while a call is pending.
    timer: Option<Pin<Box<Sleep>>>,
}

// A panic of the timer is caught, and the timer dropped with it.
impl UnwindSafe for Stall {}
impl RefUnwindSafe for Stall {}

impl Stall {
    /// The policy with the timer of the current runtime.
    pub(crate) fn new(policy: StallPolicy, reset: bool) -> io::Result<Self> {
        let runtime = timer::runtime("a stall policy")?;
        Ok(Self {
            drain: Drain {
                policy,
                window: None,
            },
            reset,
            runtime,
            is_attended: Arc::default(),
            timer: None,
        })
    }

    /// The policy, and the runtime for a task that measures what the kernel holds; `None` if such a task runs already.
    /// The task clears the flag when it ends.
    pub(crate) fn attend(&self) -> Option<(StallPolicy, &Handle, Arc<AtomicBool>)> {
        // Mostly there is one: a load is cheaper than a swap.
        let attended = self.is_attended.load(Relaxed) || self.is_attended.swap(true, AcqRel);
        (!attended).then(|| (self.drain.policy, &self.runtime, self.is_attended.clone()))
    }

    /// The length of a window.
    pub(crate) fn window(&self) -> Duration {
        self.drain.policy.window
    }

    /// `step` is done: the timer stops.
    #[inline]
    pub(crate) fn done(&mut self, step: Step) {
        if self.timer.is_some() {
            self.disarm(step);
        }
    }

    #[cold]
    fn disarm(&mut self, step: Step) {
        if self.drain.done(step, now()) {
            self.timer = None;
        }
    }

    /// `step` is pending: the timer wakes the task for the next reading. Returns the event that ends the stream, if
    /// there is one. `drained` returns a number that grows by each byte that the peer takes.
    pub(crate) fn pending(
        &mut self,
        step: Step,
        cx: &mut Context<'_>,
        drained: impl Fn() -> u64,
    ) -> Option<Event> {
        // Without budget the call is pending because of tokio's cooperative scheduling, and the task is woken at once.
        if !coop::has_budget_remaining() {
            return None;
        }
        loop {
            let Verdict::Until(next) = self.drain.pending(step, now(), &drained) else {
                self.timer = None;
                return Some(Event::Stalled);
            };
            // tokio's timer panics once its runtime is gone. The watcher may be about to report that too.
            match catch_unwind(AssertUnwindSafe(|| self.wait(next, cx))) {
                Ok(Poll::Pending) => return None,
                Ok(Poll::Ready(())) => {}
                Err(_) => {
                    self.timer = None;
                    return Some(Event::RuntimeShutdown);
                }
            }
        }
    }

    fn wait(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let until = tokio::time::Instant::from_std(until);
        let timer = self.timer.get_or_insert_with(|| {
            let _context = self.runtime.enter();
            Box::pin(tokio::time::sleep_until(until))
        });
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }
}

/// The time of tokio's clock, which a test can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
