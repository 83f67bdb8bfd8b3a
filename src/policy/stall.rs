//! Peers that are connected and do not read what we send.
//!
//! Where the kernel tells how many bytes it holds for the peer, a task looks at them for as long as there are
//! any: [`OwedWindow`](super::OwedWindow). Elsewhere the pending calls are judged, here.
//!
//! [`Drain`] judges: pure, without a runtime or a clock. [`Stall`] gives it a clock, and a timer that
//! exists only while a call is pending.
//!
//! # How pending calls count
//!
//! The clock runs while a write, flush or shutdown is pending, and stands still in between: a peer that
//! takes one byte, so that the write goes on and is pending again at once, gains nothing by it. It starts
//! again when nothing was pending for a whole window. What has drained is looked at twelve times in a
//! window, and compared with what had drained twelve looks before. So every window is judged, wherever it
//! begins, and a peer that stops is detected within a window and a twelfth.

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

/// How many looks there are in a window: a peer is found out within a window and a tenth, with some time
/// left for a busy runtime.
pub(super) const LOOKS: u32 = 12;

/// The shortest window: tokio's timer counts milliseconds, and a look takes one of them.
const SHORTEST: Duration = Duration::from_millis(LOOKS as u64);

/// The longest window: a year, which no clock's end is nearer than.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How much a peer must drain, and in which time, while there is something for it to drain.
///
/// A peer that is connected and reads nothing, or reads so slowly that it only pins memory, blocks a writer
/// forever: no FIN and no reset come, keepalive is answered, and a time limit on single writes is
/// outwitted by one byte at a time. So the policy sets a rate: at least `bytes` in each `window`, or all that
/// was owed at its beginning, if that was less. A stream that falls below it closes with
/// [`CloseReason::Stalled`](crate::CloseReason::Stalled), at most a window and a tenth after the peer has
/// stopped, if the runtime is not busy for longer.
///
/// # When it judges
///
/// On Linux, for TCP and for pipes, while the kernel holds bytes that the peer has not taken, whether or not
/// a call of the stream is pending: a response that fits into the send buffer is judged too. When the kernel
/// holds nothing, the window ends, and a call that is pending for another reason, such as a rate limit of
/// our own, is not held against the peer.
///
/// On other systems, for Unix sockets and for streams without a socket, while a write, a flush or a shutdown is
/// pending.
///
/// It costs a timer and twelve looks at the socket in each window, while it judges; otherwise neither timer nor
/// wake-up.
///
/// # After the drop
///
/// A kernel goes on offering what it has accepted after the stream is dropped, for minutes. On Linux a TCP
/// stream with a policy gets its window as `TCP_USER_TIMEOUT` when it is dropped (tcp(7)): a peer that
/// acknowledges nothing for that long is given up.
/// [`reset_on_stall`](crate::MonitorConfig::reset_on_stall) frees the memory at the verdict.
///
/// # What has drained
///
/// On Linux what the peer's system has taken off our kernel's send queue: for TCP what it has
/// acknowledged, under TLS too, for Unix sockets and pipes what its program has read. A kernel acknowledges as
/// long as it has room, and reports new room in lumps of up to half of its buffer: choose a window in which
/// the slowest reader that you want to keep gets through some 100 KiB, or more if buffers are larger.
///
/// On other systems, and for streams without a socket, what the wrapped stream accepts. A kernel accepts
/// more only when a good part of its buffer has become free, a third on Linux, which may be a megabyte.
///
/// ```
/// use hangup::{MonitorConfig, StallPolicy};
/// use std::time::Duration;
///
/// let policy = StallPolicy::new(64 * 1024, Duration::from_secs(30));
/// let config = MonitorConfig::new().stall(policy).reset_on_stall(true);
/// # assert_eq!(policy.bytes(), 65536);
/// # assert_eq!(policy.window(), Duration::from_secs(30));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StallPolicy {
    bytes: u64,
    window: Duration,
}

impl StallPolicy {
    /// At least `bytes` in each `window`.
    ///
    /// No bytes at all count as one byte. A window is at least twelve milliseconds, and at most a year.
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

    /// The time between two looks.
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

/// A call that may be pending for want of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Write,
    Flush,
    Shutdown,
}

/// What a pending call means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing yet: look again then.
    Until(Instant),
    Stalled,
}

/// The judge of one stream. Pure: the time is passed in.
#[derive(Debug)]
struct Drain {
    policy: StallPolicy,
    /// `None` before the first pending call.
    window: Option<Window>,
}

#[derive(Debug)]
struct Window {
    /// What had drained at the last looks; the `n`th look's is at `n % LOOKS`.
    marks: [u64; LOOKS as usize],
    /// How many looks there were.
    looks: usize,
    /// When the next one is due.
    next: Instant,
    /// The call that is pending, or was the last one to be.
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
            // Nobody has waited for this call: it was given up, and then comes another one.
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
        // A look that comes very late makes its slice longer, and no other one shorter.
        window.next += slice;
        if window.next <= now {
            window.next = now + slice;
        }
        Verdict::Until(window.next)
    }

    /// `step` is done. Whether nothing is pending any more.
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
    /// Whose timer is used.
    runtime: Handle,
    /// A task looks at what is owed to the peer.
    is_attended: Arc<AtomicBool>,
    /// While a call is pending.
    timer: Option<Pin<Box<Sleep>>>,
}

// A panic of the timer is caught, and the timer dropped with it.
impl UnwindSafe for Stall {}
impl RefUnwindSafe for Stall {}

impl Stall {
    /// The policy with the timer of the present runtime.
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

    /// The policy, and the runtime for a task that looks at what is owed, if none does yet. The task takes
    /// the flag down when it ends.
    pub(crate) fn attend(&self) -> Option<(StallPolicy, &Handle, Arc<AtomicBool>)> {
        // Mostly there is one: a load is cheaper than a swap.
        let attended = self.is_attended.load(Relaxed) || self.is_attended.swap(true, AcqRel);
        (!attended).then(|| (self.drain.policy, &self.runtime, self.is_attended.clone()))
    }

    /// The length of a window.
    pub(crate) fn window(&self) -> Duration {
        self.drain.policy.window
    }

    /// `step` is done: the timer goes.
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

    /// `step` is pending: the timer wakes its task for the next look. Tells what ends the stream, if
    /// anything does. `drained` grows by what drains.
    pub(crate) fn pending(
        &mut self,
        step: Step,
        cx: &mut Context<'_>,
        drained: impl Fn() -> u64,
    ) -> Option<Event> {
        // Then the call is pending for the task's cooperative budget, and the task is woken at once.
        if !coop::has_budget_remaining() {
            return None;
        }
        loop {
            let Verdict::Until(next) = self.drain.pending(step, now(), &drained) else {
                self.timer = None;
                return Some(Event::Stalled);
            };
            // tokio's timer panics once its runtime is gone, which the watcher may be about to tell.
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

/// tokio's time, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
